//go:build guest

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/soft-roce/link"
	"umemstress/workload/record"
)

// The devices of two hosts. Both are of this kernel, as rdma_rxe before 7.2 has no traffic in
// other network namespaces, over the two ends of a pair, so that every packet goes over the wire.
const (
	hereDevice, hereNetDev   = "rxehere", "umshere"
	thereDevice, thereNetDev = "rxethere", "umsthere"
)

// twoHosts makes both devices.
func twoHosts(t *testing.T) {
	t.Helper()
	ip := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
		}
	}
	ip("link", "add", hereNetDev, "type", "veth", "peer", "name", thereNetDev)
	t.Cleanup(func() { ip("link", "del", hereNetDev) })
	for i, dev := range []string{hereNetDev, thereNetDev} {
		// What comes from an address of this host itself is taken for spoofed otherwise.
		for what, value := range map[string]string{"accept_local": "1", "rp_filter": "0"} {
			if err := os.WriteFile(filepath.Join("/proc/sys/net/ipv4/conf", dev, what), []byte(value), 0); err != nil {
				t.Fatal(err)
			}
		}
		ip("addr", "add", fmt.Sprintf("10.77.0.%d/24", i+1), "dev", dev)
		ip("link", "set", dev, "mtu", "4200", "up")
	}
	for device, dev := range map[string]string{hereDevice: hereNetDev, thereDevice: thereNetDev} {
		if _, err := link.Up(t.Context(), link.Config{Name: device, NetDev: dev}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if _, err := link.Down(link.Config{Name: device}); err != nil {
				t.Error(err)
			}
		})
	}
}

// peerCommand starts the other side.
func peerCommand(t *testing.T, flags ...string) string {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(append([]string{"exec", executable, "peer", "--ib-dev", thereDevice}, flags...), " ")
}

// crossed is how many bytes the other host's end of the wire has sent and received.
func crossed(t *testing.T) (sent, received int) {
	t.Helper()
	read := func(what string) int {
		text, err := os.ReadFile(filepath.Join("/sys/class/net", thereNetDev, "statistics", what))
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return read("tx_bytes"), read("rx_bytes")
}

// granted is a scenario whose pin this kernel grants, so that bytes move, and what becomes of them.
func granted() (scenario, verdict string) {
	if *expectVerdict == string(record.Refused) {
		return "rdma/tmpfs/none/none", string(record.Clean)
	}
	return "rdma/ext4/pageout/none", *expectVerdict
}

// Bytes that come from another host's device are lost as those from this one, whatever carries
// them, and whichever library does there.
func TestPeer(t *testing.T) {
	twoHosts(t)
	scenario, want := granted()
	for _, of := range []struct{ verb, there, release string }{{"write", "auto", "dereg"}, {"read", "uverbs", "kill"}, {"send-imm", "ibverbs", "dereg"}} {
		sentBefore, receivedBefore := crossed(t)
		r, _ := ran(t, "--scenario", scenario, "--ib-dev", hereDevice, "--verb", of.verb, "--release", of.release, "--peer", peerCommand(t, "--backend", of.there), "--bidirectional", "-n", "128", "-q", "2", "--mr", "4",
			"--observe", "require", "-o", filepath.Join(t.TempDir(), "evidence"))
		if string(r.Verdict) != want || len(r.Disagreements) > 0 {
			t.Errorf("%+v: %s (%s), want %s; %q", of, r.Verdict, r.Reason, want, r.Disagreements)
		}
		host, _ := os.Hostname()
		if p := r.Device.Peer; p == nil || p.Host != host || p.Name != thereDevice || r.Device.Name != hereDevice {
			t.Errorf("%+v: run.json has %+v", of, r.Device)
		}
		// Two write phases of four passes and three back.
		const there, back = 8 * 2 << 20, 6 * 2 << 20
		sent, received := crossed(t)
		if sent-sentBefore < there || received-receivedBefore < back {
			t.Errorf("%+v: %d bytes crossed the wire from the other host, %d to it; the run moved %d and %d", of, sent-sentBefore, received-receivedBefore, there, back)
		}
		if r.Traffic.Bytes != there+back || r.Traffic.Operations != 448 {
			t.Errorf("%+v: %+v", of, r.Traffic)
		}
	}
}

// peers are the processes of other sides.
func peers(t *testing.T) (pids []int) {
	t.Helper()
	found, err := exec.Command("pgrep", "-f", "peer --ib-dev "+thereDevice).Output()
	if err != nil { // it has found none
		return nil
	}
	for _, field := range strings.Fields(string(found)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

// signalPeers sends a signal to the other sides of a run.
func signalPeers(t *testing.T, run *begun, s unix.Signal) {
	t.Helper()
	for _, pid := range peers(t) {
		if pid != run.cmd.Process.Pid { // whose flags name them
			_ = unix.Kill(pid, s)
		}
	}
}

// wantNoPeers waits until the other sides have ended.
func wantNoPeers(t *testing.T) {
	t.Helper()
	const bound = 10 * time.Second
	for began := time.Now(); len(peers(t)) > 0; time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > bound {
			t.Fatalf("%v later the other side is still there", bound)
		}
	}
}

// A side that dies takes the other one with it, whatever that is at, and nothing is left.
func TestPeerDies(t *testing.T) {
	before := leftovers(t)
	twoHosts(t)
	scenario, _ := granted()
	dir := filepath.Join(t.TempDir(), "evidence")
	flags := small("--scenario", scenario, "--ib-dev", hereDevice, "--peer", peerCommand(t), "-D", "60", "-o")

	run := begin(t, "phase write", append(flags, dir)...)
	signalPeers(t, run, unix.SIGKILL)
	if code, told := run.end(t, time.Minute), run.log.text.String(); code != exit.Failed || !strings.Contains(told, "the peer on ") || !strings.Contains(told, "has ended") {
		t.Errorf("exit code %d: %s", code, told)
	}
	text, err := os.ReadFile(filepath.Join(dir, "run.json"))
	var r record.Record
	if err != nil || json.Unmarshal(text, &r) != nil || r.Device.Peer == nil {
		t.Errorf("its evidence: %v, %+v", err, r.Device)
	}
	wantNoPeers(t)

	run = begin(t, "phase write", append(flags, dir+"-again")...)
	run.signal(t, unix.SIGKILL)
	run.end(t, time.Minute)
	wantNoPeers(t)
	for killed := time.Now(); leftovers(t) != before; time.Sleep(50 * time.Millisecond) {
		if time.Since(killed) > 20*time.Second {
			t.Fatalf("left behind:\n%s\nbefore:\n%s", leftovers(t), before)
		}
	}
}
