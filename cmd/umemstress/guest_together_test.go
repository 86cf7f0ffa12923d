//go:build guest

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"umemstress/probes/event"
	"umemstress/workload/record"
)

// beside has other runs go on, one after the other, each on a new file of the directory's file
// system, until the returned function is called. That says how many came to their end.
func beside(t *testing.T, dir string, args ...string) (stop func() int64) {
	t.Helper()
	var ended atomic.Int64
	done := make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			default:
			}
			file := filepath.Join(dir, fmt.Sprintf("other-%d", n))
			cmd := command(append(small("--file", file, "-o", file+".evidence"), args...)...)
			_ = cmd.Run() // its exit code is its verdict's
			ended.Add(1)
		}
	})
	return func() int64 {
		close(done)
		others.Wait()
		return ended.Load()
	}
}

// What others do at the same time, in the same way, on the same file system, is no evidence of a
// run's: its counts are those of its own pages, and those who acted are itself and who writes back
// for it.
func TestRunBesideOthers(t *testing.T) {
	const pages = 512
	dir := t.TempDir()
	stop := beside(t, dir)
	for n := range 3 {
		file := filepath.Join(dir, fmt.Sprintf("own-%d", n))
		stdout, stderr, _ := outcome(t, small("--file", file, "-D", "1", "--observe", "require", "--format", "json", "-o", file+".evidence")...)
		var r record.Record
		if err := json.Unmarshal([]byte(stdout), &r); err != nil {
			t.Errorf("%v in %q; %s", err, stdout, stderr)
			continue
		}
		checkOwn(t, &r, pages)
	}
	if ended := stop(); ended < 2 {
		t.Errorf("%d other runs came to their end meanwhile", ended)
	}
}

// checkOwn wants what this kernel is known to do to that many pages of a run, of the run's alone.
func checkOwn(t *testing.T, r *record.Record, pages uint64) {
	t.Helper()
	if string(r.Verdict) != *expectVerdict || len(r.Disagreements) > 0 {
		t.Errorf("%s (%s), %q, want %s", r.Verdict, r.Reason, r.Disagreements, *expectVerdict)
		return
	}
	var lost, dirtied uint64
	switch r.Verdict {
	case record.DataLost:
		lost, dirtied = pages, pages
	case record.Clean:
		dirtied = pages
	}
	p := r.Channels.Probes
	if p.StrippedPages == nil || p.DroppedFolios == nil {
		t.Errorf("not watched: %+v", p)
		return
	}
	if p.BufferlessPages != lost || p.UnannouncedPages != dirtied || p.DirtiedPages != dirtied || *p.StrippedPages != lost || *p.StrippedFolios != lost || *p.DroppedFolios != lost {
		t.Errorf("%d stripped in %d folios, %d dropped, want %d; %+v", *p.StrippedPages, *p.StrippedFolios, *p.DroppedFolios, lost, p)
	}
	sums := map[event.Kind]uint64{}
	self := record.Process{PID: r.Process.PID, Comm: r.Process.Comm}
	for _, a := range p.Acts {
		sums[a.Event] += a.Folios
		if a.Owner == nil && a.Event != event.Stripped || a.Owner != nil && *a.Owner != self { // who holds is known from the release
			t.Errorf("%+v, which %+v did not own", a, self)
		}
		if a.Event != event.Dropped && a.Actor != self || a.Event == event.Dropped && a.Actor.Comm != self.Comm && !strings.HasPrefix(a.Actor.Comm, "kworker") {
			t.Errorf("%+v, by somebody else than %+v", a, self)
		}
	}
	if sums[event.Stripped] != lost || sums[event.Dropped] != lost || sums[event.Dirtied] != dirtied {
		t.Errorf("who acted on how many: %v", sums)
	}
}

// The report names who stripped and who dropped.
func TestReportNamesWhoActed(t *testing.T) {
	if *expectVerdict != string(record.DataLost) {
		return // nothing is stripped
	}
	stdout, stderr, _ := outcome(t, small("--observe", "require", "-o", filepath.Join(t.TempDir(), "evidence"))...)
	comm := strings.TrimSpace(readFile(t, "/proc/self/comm"))
	for _, want := range []string{"; pinned by " + comm + "[", "stripped    512 pages, while they were pinned, by " + comm + "[", "dropped     512 folios, by writeback, by "} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the report lacks %q:\n%s%s", want, stdout, stderr)
		}
	}
	t.Logf("as %d:\n%s", os.Getpid(), stdout)
}
