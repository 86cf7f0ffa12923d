//go:build guest

package probes

import (
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/probes/event"
)

// asRun is a session that a run with the holder rdma has.
func asRun() Options {
	return Options{Kinds: []event.Kind{event.Stripped, event.Dropped}, Acts: true}
}

// A session that waits for its filter tells of nothing before, whatever happens.
func TestAwait(t *testing.T) {
	if *expect == "refused" {
		return // there is nothing to tell of a file
	}
	opts := asRun()
	opts.Await = true
	w := attach(t, opts)
	w.read(t)
	p := pinFile(t, openPD(t), 64)
	p.release(t)
	check(t, unix.Msync(p.mem, unix.MS_SYNC))
	counts, err := w.Counts()
	check(t, err)
	acts, err := w.Acts()
	check(t, err)
	if events := w.delivered(t); len(counts)+len(acts)+len(events) > 0 {
		t.Errorf("counts %+v, acts %+v, events %+v", counts, acts, events)
	}
	check(t, w.SetFilter(event.Filter{}))
	p.register(t, openPD(t))
	check(t, unix.Msync(p.mem, unix.MS_SYNC))
	p.release(t)
	if got := w.counted(t, p.inode); got.UnannouncedPages == 0 {
		t.Errorf("nothing is counted after the filter was set: %+v", got)
	}
}

// What a process does to one file is summed up by kind and actor, and is exact, while another
// process has the same done to another file of the same file system, by the same calls.
func TestActsAmidOthers(t *testing.T) {
	if *expect == "refused" {
		return // nobody strips or drops what is not pinned
	}
	const pages = 2048
	opts := asRun()
	opts.Await = true
	w := attach(t, opts)
	w.read(t)
	pd := openPD(t)
	p := mapFile(t, filepath.Join(t.TempDir(), "region"), pages)
	check(t, w.SetFilter(event.Filter{Files: []event.Inode{p.inode}}))
	const rounds = 4
	for range rounds {
		p.touch(0, 1)
		p.register(t, pd)
		other, pinned := beginHolder(t, filepath.Join(t.TempDir(), "other"))
		p.cleanAndStrip(t) // as it does
		pinned()
		check(t, other.Kill()) // and is released at its end
		p.release(t)
		check(t, unix.Msync(p.mem, unix.MS_SYNC))
	}
	lost := uint64(0)
	want := wantCount(p.inode, rounds*pages)
	if *expect == "bufferless" {
		lost = rounds * pages
		want.StrippedPages, want.StrippedFolios, want.DroppedFolios = lost, lost, lost
	}
	if got := w.counted(t, p.inode); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
	counts, err := w.Counts()
	check(t, err)
	for _, c := range counts {
		if c.Inode != p.inode {
			t.Errorf("counted %+v of somebody else's", c)
		}
	}
	acts, err := w.Acts()
	check(t, err)
	checkActs(t, p.inode, acts, map[event.Kind]uint64{event.Dirtied: rounds * pages, event.Stripped: lost, event.Dropped: lost})
	checkTold(t, p.inode, w.delivered(t))
	w.wantLost(t, event.Lost{})
	w.wantQuiet(t)
}

// checkActs wants acts on one file alone, in so many pages by kind: of what this process pinned, as
// is known once it has let go of any, and, but for what a worker of the kernel writes back, by
// itself.
func checkActs(t *testing.T, file event.Inode, acts []event.Act, pages map[event.Kind]uint64) {
	t.Helper()
	self := uint32(unix.Getpid())
	sums := map[event.Kind]uint64{}
	for _, a := range acts {
		t.Logf("%+v", a)
		sums[a.Kind] += a.Pages
		worker := a.Kind == event.Dropped && strings.HasPrefix(a.Comm, "kworker")
		owned := a.Owner.PID == self && a.Holder == event.HolderUmem && a.Owner.Comm != ""
		early := a.Kind == event.Stripped && a.Owner == event.Owner{} && a.Holder == ""
		if a.Inode != file || !owned && !early || a.PID != self && !worker {
			t.Errorf("%+v is none of process %d on %+v", a, self, file)
		}
	}
	for kind, want := range pages {
		if sums[kind] != want {
			t.Errorf("%s: %d pages, want %d", kind, sums[kind], want)
		}
	}
}

// checkTold wants events of one file alone, and of what comes page by page no more than where
// something begins.
func checkTold(t *testing.T, file event.Inode, events []event.Event) {
	t.Helper()
	most := map[event.Kind]int{event.Stripped: 2 * 64, event.Dropped: 2 * 64} // of two acts each
	told := map[event.Kind]int{}
	for _, e := range events {
		if told[e.Kind]++; e.Inode != file {
			t.Errorf("told of somebody else's: %+v", e)
		}
		if told[e.Kind] == 1 {
			t.Logf("%+v", e)
		}
	}
	for kind, n := range most {
		if told[kind] > n || told[kind] == 0 && *expect == "bufferless" {
			t.Errorf("%d events of %s", told[kind], kind)
		}
	}
	if told[event.Dirtied] == 0 {
		t.Errorf("told %v", told)
	}
}

// A hook that finds no place leaves the session without what it is for, which says so.
func TestUnseen(t *testing.T) {
	blind := stock()
	blind.kinds = stockKinds()
	for i := range blind.kinds[event.Stripped][0].sites {
		blind.kinds[event.Stripped][0].sites[i].symbol = "umemstress_no_such_function"
	}
	s, err := attachBy(blind, asRun())
	check(t, err)
	defer func() { check(t, s.Close()) }()
	if got := s.Unseen(); len(got) != 1 || got[event.Stripped] != "no page is seen to be stripped of its buffers" {
		t.Errorf("unseen: %q", got)
	}
	all, err := attachBy(stock(), asRun())
	check(t, err)
	defer func() { check(t, all.Close()) }()
	if got := all.Unseen(); len(got) != 0 {
		t.Errorf("unseen with everything attached: %q", got)
	}
}
