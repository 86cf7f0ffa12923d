//go:build guest

package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/workload/record"
)

// A connection that nobody acknowledges loses the same as one that is, and the run knows when the bytes are there.
func TestUnreliable(t *testing.T) {
	for _, of := range [][]string{
		{"--backend", "uverbs", "--verb", "write", "-q", "3", "--size", "5000"},
		{"--backend", "ibverbs", "--verb", "write", "--release", "exit"},
		{"--backend", "uverbs", "--verb", "send", "-q", "2", "--events"},
		{"--backend", "ibverbs", "--verb", "send-imm", "-q", "2", "--sge", "3"},
		{"--backend", "uverbs", "--verb", "write-imm", "-n", "100"},
		{"--backend", "uverbs", "--verb", "send", "--connection", "UD", "-q", "3"},
		{"--backend", "ibverbs", "--verb", "send-imm", "--connection", "UD", "--sge", "3", "--size", "1000", "--release", "kill"},
		{"--backend", "ibverbs", "--verb", "send", "--connection", "UD", "-q", "2", "--srq", "--events"},
	} {
		want := "UC"
		if slices.Contains(of, "UD") {
			want = "UD"
		}
		r, _ := ran(t, append([]string{"--connection", "uc", "--bidirectional"}, append(of, "--observe", "require", "-o", filepath.Join(t.TempDir(), "evidence"))...)...)
		if string(r.Verdict) != *expectVerdict || len(r.Disagreements) > 0 || r.Settings.Connection != want {
			t.Errorf("%q: %s (%s), want %s; %q; over %s", of, r.Verdict, r.Reason, *expectVerdict, r.Disagreements, r.Settings.Connection)
		}
		if a := r.Channels.Arrival; *expectVerdict != "refused" && (a.CorruptPages > 0 || a.CheckedPages == 0) {
			t.Errorf("%q: what arrived: %+v", of, a)
		}
	}
}

// Queue pairs that have their receives in common bring the same bytes to the same places, whichever way, and lose the same.
func TestSharedReceives(t *testing.T) {
	for _, of := range [][]string{
		{"--backend", "uverbs", "--verb", "send", "--size", "5000", "--bidirectional"},
		{"--backend", "ibverbs", "--verb", "send-imm", "--sge", "3", "--events", "--bidirectional"},
		{"--backend", "uverbs", "--verb", "write-imm", "--connection", "UC", "--release", "kill"},
		{"--backend", "ibverbs", "--verb", "send", "--connection", "UC", "-n", "200", "--size", "16384"},
	} {
		r, _ := ran(t, append(of, "--srq", "-q", "3", "--observe", "require", "-o", filepath.Join(t.TempDir(), "evidence"))...)
		if string(r.Verdict) != *expectVerdict || len(r.Disagreements) > 0 || !r.Settings.SRQ {
			t.Errorf("%q: %s (%s), want %s; %q", of, r.Verdict, r.Reason, *expectVerdict, r.Disagreements)
		}
		if a := r.Channels.Arrival; *expectVerdict != "refused" && (a.CorruptPages > 0 || a.CheckedPages == 0) {
			t.Errorf("%q: what arrived: %+v", of, a)
		}
	}
}

// What comes into the file through memory windows comes as by the keys of the regions, where the device has windows: rdma_rxe since
// 5.14. They go before their regions, whoever releases these.
func TestMemoryWindows(t *testing.T) {
	scenario, want := granted()
	for _, of := range [][]string{
		{"--mw", "--backend", "uverbs", "--bidirectional", "--mr", "4", "--release", "parallel", "-q", "2"},
		{"--mw", "--backend", "ibverbs", "--connection", "UC", "--verb", "write-imm", "--release", "kill"},
		{"--mw=2", "--backend", "uverbs", "--connection", "UC", "--verb", "write", "--release", "exit"},
		{"--mw=2", "--backend", "ibverbs", "--bidirectional", "--mr", "4", "--release", "parallel"},
	} {
		args := append(of, "--scenario", scenario, "--observe", "require", "-o", filepath.Join(t.TempDir(), "evidence"))
		if !kernelHas(t, "rxe_alloc_mw") {
			if _, stderr, code := outcome(t, small(args...)...); code != exit.HostLacks || !strings.Contains(stderr, "rdma_rxe has them since Linux 5.14") {
				t.Errorf("%q: exit code %d: %s", of, code, stderr)
			}
			continue
		}
		r, _ := ran(t, args...)
		if a := r.Channels.Arrival; string(r.Verdict) != want || len(r.Disagreements) > 0 || !r.Settings.Windows || (r.Settings.WindowType == 2) != (of[0] == "--mw=2") || a.CorruptPages > 0 || a.CheckedPages == 0 {
			t.Errorf("%q: %s (%s), want %s; %q; what arrived: %+v", of, r.Verdict, r.Reason, want, r.Disagreements, a)
		}
	}
}

// kernelHas says whether the kernel's rdma_rxe has a function.
func kernelHas(t *testing.T, function string) bool {
	t.Helper()
	symbols, err := os.ReadFile("/proc/kallsyms")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(symbols), " "+function+"\t[rdma_rxe]")
}

// What the network drops is told of within seconds, whether it is all or some, and is no loss of the file's.
func TestUnreliableDropped(t *testing.T) {
	twoHosts(t)
	scenario, want := granted()
	dropped := func(what string, flags ...string) {
		t.Helper()
		r, code := ran(t, append([]string{"--connection", "UC"}, append(flags, "--scenario", scenario, "--ib-dev", hereDevice, "--peer", peerCommand(t), "-o", filepath.Join(t.TempDir(), "evidence"))...)...)
		if code != record.Inconclusive.ExitCode() || r.Verdict != record.Inconclusive || !strings.Contains(r.Reason, "were dropped on their way: an unreliable connection repeats nothing") {
			t.Errorf("%s: exit code %d, %s (%s)", what, code, r.Verdict, r.Reason)
		}
	}
	permanentNeighbours(t)
	// Nothing is lost of datagrams that go from one host to the other, whoever receives them.
	if r, _ := ran(t, "--connection", "UD", "--verb", "send", "--srq", "-q", "3", "--bidirectional", "--size", "2048", "--scenario", scenario, "--ib-dev", hereDevice, "--peer", peerCommand(t, "--backend", "ibverbs"), "-o", filepath.Join(t.TempDir(), "evidence")); string(r.Verdict) != want || r.Channels.Arrival.CorruptPages > 0 {
		t.Errorf("datagrams: %s (%s), want %s", r.Verdict, r.Reason, want)
	}
	// In the midst of writes it is the bytes alone that tell.
	loses(t, "2%")
	few, _ := ran(t, "--connection", "UC", "--size", "4096", "--scenario", "rdma/tmpfs/none/none", "--ib-dev", hereDevice, "--peer", peerCommand(t), "-o", filepath.Join(t.TempDir(), "evidence"))
	if few.Verdict != record.Inconclusive || !strings.Contains(few.Reason, "dropped") {
		t.Errorf("some writes: %s (%s)", few.Verdict, few.Reason)
	}
	t.Logf("some writes: %s", few.Reason)
	loses(t, "100%")
	dropped("all writes", "--verb", "write")
	dropped("all messages", "--verb", "send")
	loses(t, "20%")
	dropped("some messages", "--verb", "send-imm", "--size", "4096")
	dropped("some datagrams", "--connection", "UD", "--verb", "send")
	dropped("some messages, and others in their place", "--verb", "send", "--size", "4096", "-q", "2")
}

// loses has the network between the two hosts lose packets, both ways.
func loses(t *testing.T, share string) {
	t.Helper()
	for _, dev := range []string{hereNetDev, thereNetDev} {
		if out, err := exec.Command("tc", "qdisc", "replace", "dev", dev, "root", "netem", "loss", share).CombinedOutput(); err != nil {
			t.Fatalf("have %s lose %s of its packets: %v: %s", dev, share, err, out)
		}
	}
}

// permanentNeighbours has the two hosts know each other without a packet, as connecting takes.
func permanentNeighbours(t *testing.T) {
	t.Helper()
	for i, dev := range []string{thereNetDev, hereNetDev} {
		other, err := net.InterfaceByName([]string{hereNetDev, thereNetDev}[i])
		if err != nil {
			t.Fatal(err)
		}
		address := fmt.Sprintf("10.77.0.%d", i+1)
		if out, err := exec.Command("ip", "neigh", "replace", address, "lladdr", other.HardwareAddr.String(), "dev", dev, "nud", "permanent").CombinedOutput(); err != nil {
			t.Fatalf("have %s know %s: %v: %s", dev, address, err, out)
		}
	}
}
