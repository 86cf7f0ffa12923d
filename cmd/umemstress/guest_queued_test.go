//go:build guest

package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"umemstress/probes/event"
	"umemstress/workload/record"
)

// Of reads that nobody waits for, a worker of the kernel releases the pages, on every kernel. The
// probes see it there, and name the run, one of whose workers of io_uring submitted them.
func TestURing(t *testing.T) {
	before := tracks(t)
	r, code := ran(t, "--holder", "uring", "--fs", "xfs", "--strip", "none", "--observe", "require", "-o", filepath.Join(t.TempDir(), "evidence"))
	if r.Verdict != record.Exposed || code != record.Exposed.ExitCode() || len(r.Disagreements) > 0 {
		t.Errorf("%s (%s), exit code %d; %q", r.Verdict, r.Reason, code, r.Disagreements)
	}
	const pages = 512
	released := uint64(0) // by one worker, or by several
	for _, a := range r.Channels.Probes.Acts {
		if a.Event == event.Dirtied && strings.HasPrefix(a.Actor.Comm, "kworker/") && a.Owner != nil && *a.Owner == r.Process {
			released += a.Pages
		}
	}
	if released != pages {
		t.Errorf("workers released %d pages of the run's, want %d: the run has the process %+v; what was done is %+v", released, pages, r.Process, r.Channels.Probes.Acts)
	}
	if after := tracks(t); after != before {
		t.Errorf("left behind:\n%s\nbefore:\n%s", after, before)
	}
}

// The reads of a run that is killed are held by a device that is suspended: it is resumed, and gone.
func TestHeldReadsKilled(t *testing.T) {
	before := tracks(t)
	killedIn(t, "phase strip", "--holder", "aio") // no thread of which waits for them
	for deadline := time.Now().Add(10 * time.Second); tracks(t) != before && time.Now().Before(deadline); {
		time.Sleep(50 * time.Millisecond)
	}
	if after := tracks(t); after != before {
		t.Errorf("left behind:\n%s\nbefore:\n%s", after, before)
	}
}
