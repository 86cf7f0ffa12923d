//go:build guest

package main

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/workload/record"
)

// Bytes that come by atomic operations, or are waited for by events, are lost as others; each is looked at
// as it arrives and each completion is timed.
func TestTraffic(t *testing.T) {
	scenario, want := granted()
	for _, of := range []struct {
		flags       string
		operations  uint64 // in both write phases
		completions uint64 // of them that are signaled
	}{
		{"--verb cas --backend uverbs -s 8 --file-size 16K --anon-size 8K -q 2 --allow-crash", 2 * 2048, 0},
		{"--verb fadd --backend ibverbs --file-size 8K --anon-size 16K -t 1 --allow-crash", 2 * 1024, 2 * 1024},
		{"--verb cas --release kill --file-size 16K --anon-size 16K -n 2500 --events --allow-crash", 2 * 2500, 0},
		{"--events --backend uverbs -t 1 -s 4096", 2 * 512, 2 * 512},
		{"--events --backend ibverbs -t 2 --verb send-imm -s 4096 --bidirectional -q 3", 0, 0},
		{"-t 1 -s 16384 -n 300", 2 * 300, 2 * 300},
	} {
		flags := append([]string{"--scenario", scenario, "--observe", "require", "-o", filepath.Join(t.TempDir(), "evidence")}, strings.Fields(of.flags)...)
		r, _ := ran(t, flags...)
		if string(r.Verdict) != want || len(r.Disagreements) > 0 {
			t.Errorf("%s: %s (%s), want %s; %q", of.flags, r.Verdict, r.Reason, want, r.Disagreements)
		}
		if of.operations > 0 && r.Traffic.Operations != of.operations {
			t.Errorf("%s: %d operations, want %d", of.flags, r.Traffic.Operations, of.operations)
		}
		l := r.Traffic.Latency
		if l == nil || of.completions > 0 && l.Completions != of.completions || l.Min <= 0 || l.Min > l.P50 || l.P50 > l.P99 || l.P99 > l.Max || l.Mean < l.Min || l.Mean > l.Max {
			t.Errorf("%s: latency %+v, want %d completions", of.flags, l, of.completions)
		}
		if tr := r.Traffic; tr.BytesPerSecond <= 0 || tr.PeakBytesPerSecond < tr.BytesPerSecond || tr.OperationsPerSecond <= 0 {
			t.Errorf("%s: %+v", of.flags, tr)
		}
		pages := uint64(r.Regions[0].Pages)
		if a := r.Channels.Arrival; a.State != record.StateOK || a.Looks < 2 || a.CheckedPages != a.Looks*pages || a.CorruptBytes+a.UnseenPages != 0 {
			t.Errorf("%s: %+v of %d pages", of.flags, a, pages)
		}
	}
}

// Where nobody could find out whether rdma_rxe sends the answer to an atomic operation twice, as on 5.10, atomic
// operations ask to be allowed; where its types tell that it does not, they are run.
func TestAtomicDanger(t *testing.T) {
	for _, verb := range []string{"cas", "fadd"} {
		_, stderr, code := outcome(t, "run", "--scenario", "rdma/tmpfs/none/none", "--verb", verb, "--file-size", "8K", "--anon-size", "8K", "--observe", "off", "-o", filepath.Join(t.TempDir(), "evidence"))
		asks := code == exit.HostLacks && strings.Contains(stderr, "rdma_rxe sends the answer to an atomic operation twice, of which the kernel dies, could not be read") && strings.Contains(stderr, "--allow-crash")
		if unknown := record.Verdict(*expectVerdict) == record.DataLost; asks != unknown || !asks && code != record.Clean.ExitCode() {
			t.Errorf("--verb %s: exit code %d: %s", verb, code, stderr)
		}
	}
}

// Latencies are those of who posts, also on another host.
func TestPeerLatency(t *testing.T) {
	twoHosts(t)
	scenario, want := granted()
	r, _ := ran(t, "--scenario", scenario, "--ib-dev", hereDevice, "--verb", "write", "--events", "-t", "4", "-s", "4096",
		"--peer", peerCommand(t, "--backend", "uverbs"), "-o", filepath.Join(t.TempDir(), "evidence"))
	// 4 under way: a completion for each 2 of 512, or fewer at the end of an order.
	if l := r.Traffic.Latency; string(r.Verdict) != want || l == nil || l.Completions < 2*512/2 || l.Min <= 0 || r.Channels.Arrival.CheckedPages != 2*512 {
		t.Errorf("%s (%s): %+v, %+v", r.Verdict, r.Reason, l, r.Channels.Arrival)
	}
}

// perftest's table has a row with its columns, which its users' scripts cut out.
func TestPerftestTable(t *testing.T) {
	scenario, _ := granted()
	stdout, stderr, _ := outcome(t, small("--scenario", scenario, "--report_gbits", "--check", "off", "-o", filepath.Join(t.TempDir(), "evidence"))...)
	if !regexp.MustCompile(`(?m)^ #bytes +#iterations +BW peak\[Gb/sec\] +BW average\[Gb/sec\] +MsgRate\[Mpps\]\n 65536 +64 +\d+\.\d\d +\d+\.\d\d +\t\t +0\.\d{6}$`).MatchString(stdout) || !strings.Contains(stdout, "not looked at (--check off)") {
		t.Errorf("%s%s", stdout, stderr)
	}
}
