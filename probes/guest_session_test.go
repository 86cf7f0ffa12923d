//go:build guest

package probes

import (
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/probes/event"
)

// everything is a session that an observer of a whole machine has.
func everything() Options {
	return Options{Holders: holdersHere(), Kinds: Kinds(), AnyRelease: true, Events: 1 << 20}
}

// Every program loads and finds its place, of all holders and kinds at once, on each kernel.
func TestEverythingAttaches(t *testing.T) {
	w := attach(t, everything())
	for _, a := range w.Attachments() {
		t.Logf("%+v", a)
		if !a.Attached() {
			t.Errorf("%s: not attached: %v", a.Purpose, a.Denied)
		}
	}
	w.wantLost(t, event.Lost{})
}

// The release of a umem has its pages, though it may call another holder's for each of them.
func TestHoldersNest(t *testing.T) {
	if *expect == "refused" {
		return // it pins no pages of files for a umem, and has its release call no other
	}
	const pages = 512
	w := attach(t, everything())
	w.read(t)
	p := pinFile(t, openPD(t), pages)
	p.release(t)
	written := mapAnyFile(t, filepath.Join(mountTmpfs(t), "region"), pages)
	written.writev(t)
	counts, err := w.Counts()
	check(t, err)
	for _, want := range []struct {
		file   event.Inode
		holder string
	}{{p.inode, event.HolderUmem}, {written.inode, event.HolderVMWritev}} {
		for _, c := range counts {
			if c.Inode == want.file && (c.Holder != want.holder || c.DirtiedPages != pages || c.PID != uint32(unix.Getpid())) {
				t.Errorf("counted %+v, want %d pages of %s", c, pages, want.holder)
			}
		}
		if got := event.Of(counts, want.file); got.DirtiedPages != pages {
			t.Errorf("counted %+v, want %d pages", got, pages)
		}
	}
	totals, err := w.Totals()
	check(t, err)
	for holder, n := range map[string]uint64{event.HolderUmem: pages, event.HolderVMWritev: pages, event.HolderDIO: 0, "": 0} {
		if got := totals.Holders[holder].DirtiedPages; got != n {
			t.Errorf("in total %d pages of %q, want %d", got, holder, n)
		}
	}
	var runs int
	for _, e := range w.delivered(t) {
		if e.Kind == event.Dirtied && e.Inode == p.inode {
			runs++
		}
	}
	if runs != 1 {
		t.Errorf("%d runs of one region", runs)
	}
	w.wantQuiet(t)
}

// A filter begins and ends while the session goes on.
func TestFilter(t *testing.T) {
	const pages = 16
	w := attach(t, everything())
	dir := mountTmpfs(t)
	a, b := mapAnyFile(t, filepath.Join(dir, "a"), pages), mapAnyFile(t, filepath.Join(dir, "b"), pages)
	for _, c := range []struct {
		name   string
		filter event.Filter
		a, b   bool
	}{
		{"none", event.Filter{}, true, true},
		{"one file", event.Filter{Files: []event.Inode{a.inode}}, true, false},
		{"the other", event.Filter{Files: []event.Inode{b.inode}}, false, true},
		{"both", event.Filter{Files: []event.Inode{a.inode, b.inode}}, true, true},
		{"this process", event.Filter{PIDs: []uint32{uint32(unix.Getpid())}}, true, true},
		{"another process", event.Filter{PIDs: []uint32{1}}, false, false},
		{"this process, one file", event.Filter{PIDs: []uint32{uint32(unix.Getpid())}, Files: []event.Inode{a.inode}}, true, false},
		{"another cgroup", event.Filter{Cgroups: []uint64{1 << 60}}, false, false},
		{"the device", event.Filter{Devices: []uint32{a.inode.Device}}, true, true},
		{"another device", event.Filter{Devices: []uint32{1}}, false, false},
		{"none again", event.Filter{}, true, true},
	} {
		check(t, w.SetFilter(c.filter))
		_, err := w.TakeCounts()
		check(t, err)
		for _, p := range []*pin{&a, &b} {
			check(t, p.file.Truncate(0)) // which unmaps its pages: clean ones come, to be dirtied again
			check(t, p.file.Truncate(pages*pageSize))
			for i := 0; i < len(p.mem); i += pageSize { // see mapAnyFile
				sum += p.mem[i]
			}
			p.touch(0, 1)
			p.writev(t)
		}
		counts, err := w.Counts()
		check(t, err)
		for _, p := range []struct {
			pin  pin
			want bool
		}{{a, c.a}, {b, c.b}} {
			want := uint64(0)
			if p.want {
				want = pages
			}
			if got := event.Of(counts, p.pin.inode).DirtiedPages; got != want {
				t.Errorf("%s: counted %d pages of %+v, want %d", c.name, got, p.pin.inode, want)
			}
		}
	}
}

// Counts that are taken are gone, and what is counted meanwhile is not.
func TestTakeCounts(t *testing.T) {
	const rounds, pages = 8, 32
	w := attach(t, Options{Holders: []string{event.HolderVMWritev}})
	dir := mountTmpfs(t)
	sum := uint64(0)
	for i := range rounds {
		p := mapAnyFile(t, filepath.Join(dir, string(rune('a'+i))), pages)
		p.writev(t)
		counts, err := w.TakeCounts()
		check(t, err)
		if len(counts) != 1 || counts[0].Inode != p.inode {
			t.Errorf("took %+v, want those of %+v alone", counts, p.inode)
		}
		sum += event.Of(counts, p.inode).DirtiedPages
	}
	if sum != rounds*pages {
		t.Errorf("took %d pages of %d", sum, rounds*pages)
	}
	if left, err := w.Counts(); err != nil || len(left) != 0 {
		t.Errorf("left %+v, %v", left, err)
	}
	totals, err := w.Totals()
	check(t, err)
	if got := totals.Sum().DirtiedPages; got != sum {
		t.Errorf("%d pages in total, want %d", got, sum)
	}
}
