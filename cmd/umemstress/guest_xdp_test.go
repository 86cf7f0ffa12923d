//go:build guest

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/workload/record"
)

// The umem of an AF_XDP socket is pinned as an RDMA region is, so that each kernel does to it what it
// does to that; a worker of the kernel lets go of it, and the channels agree to the page.
func TestXDP(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "evidence")
	r, code := ran(t, "--holder", "xdp", "--observe", "require", "-o", dir)
	want := record.Verdict(*expectVerdict)
	if r.Verdict != want || code != exit.Code(verdictStatus(want)) || len(r.Disagreements) > 0 || r.CleanupError != "" {
		t.Errorf("%s (%s), exit code %d; %q; %s; want %s", r.Verdict, r.Reason, code, r.Disagreements, r.CleanupError, want)
	}
	if want == record.Refused {
		return
	}
	wantAgreed(t, r)
	events := readFile(t, filepath.Join(dir, "events.jsonl"))
	for _, want := range []string{`"holder":"xdp"`, "xdp_put_umem+0x", "xp_release_deferred+0x", `"comm":"kworker/`} {
		if !strings.Contains(events, want) {
			t.Errorf("no %q in the events: %s", want, events)
		}
	}
}

// Who observes is told of the umem, and that it is the program's, though a worker of the kernel lets go of
// it; of one that the kernel refuses, with the file that it would have been in.
func TestXDPObserved(t *testing.T) {
	ends := record.Verdict(*expectVerdict)
	if ends == record.Refused {
		observedRefused(t, "xdp")
		return
	}
	if line := observed(t, "xdp", true, ends); line.Actor == nil || line.Actor.PID == line.Owner.PID {
		t.Errorf("%+v", line)
	}
}

// The traffic of a run by time goes on through clean and strip, and each byte of it arrives.
func TestXDPRepeats(t *testing.T) {
	r, _ := ran(t, "--holder", "xdp", "-D", "1", "-o", filepath.Join(t.TempDir(), "evidence"))
	want := record.Verdict(*expectVerdict)
	if r.Verdict != want || len(r.Disagreements) > 0 {
		t.Errorf("%s (%s), %q; want %s", r.Verdict, r.Reason, r.Disagreements, want)
	}
	if a := r.Channels.Arrival; want != record.Refused && (a.State != record.StateOK || a.CheckedPages == 0 || a.CorruptBytes > 0 || r.Traffic.Bytes <= 2*512<<12) {
		t.Errorf("%+v, %+v", a, r.Traffic)
	}
}

// The network of a run is in no other namespace: nobody sees its netdevs, and the run's own threads are
// all where they were.
func TestXDPKilled(t *testing.T) {
	phase := "phase write-again"
	if *expectVerdict == string(record.Refused) {
		phase = "phase pin"
	}
	before, err := filepath.Glob("/sys/class/net/*")
	if err != nil {
		t.Fatal(err)
	}
	killedIn(t, phase, "--holder", "xdp")
	killedIn(t, "phase pin", "--holder", "xdp")
	args := small("--holder", "xdp", "--observe", "off", "-o", filepath.Join(t.TempDir(), "evidence"))
	if stdout, stderr, code := here(t, args...); code != exit.Code(verdictStatus(record.Verdict(*expectVerdict))) {
		t.Errorf("the next run: exit code %d, want that of %s; %s%s", code, *expectVerdict, stdout, stderr)
	}
	if after, err := filepath.Glob("/sys/class/net/*"); err != nil || len(after) != len(before) {
		t.Errorf("netdevs %q, before %q, %v", after, before, err)
	}
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	threads, err := filepath.Glob("/proc/self/task/*/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		if at, err := os.Readlink(thread); err == nil && at != own {
			t.Errorf("%s is %s, and not %s", thread, at, own)
		}
	}
}
