//go:build guest

package probes

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/probes/event"
	"umemstress/rdma"
)

func TestRelease(t *testing.T) {
	tests := map[string]func(*testing.T){"anonymous region": testAnonymous}
	switch *expect {
	case "bufferless", "unannounced":
		tests["every page"] = testEveryPage
		tests["dirty already"] = testDirtyAlready
		tests["two files"] = testTwoFiles
		tests["ring full"] = testRingFull
		tests["holder killed"] = testHolderKilled
		tests["no stacks"] = testNoStacks
		tests["without the funnel"] = testWithoutFunnel
	case "refused":
		tests["file refused"] = testFileRefused
	default:
		t.Fatal("give -expect, as is right for this kernel")
	}
	for name, test := range tests {
		t.Run(name, test)
	}
}

func testEveryPage(t *testing.T) {
	const pages = 16384
	p := pinFile(t, openPD(t), pages)
	w := attach(t, Options{})
	w.read(t)
	p.release(t)
	if got, want := w.counted(t, p.inode), wantCount(p.inode, pages); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
	events := w.delivered(t)
	if len(events) != 1 {
		t.Fatalf("%d events for one region: %+v", len(events), events)
	}
	e := events[0]
	check(t, w.Symbolise(&e))
	t.Logf("%+v", e)
	if e.Inode != p.inode || e.Filesystem != "ext4" || e.Index != 0 || e.Pages != pages || e.Bufferless != (*expect == "bufferless") || !e.Unannounced {
		t.Errorf("%+v is not the whole of %+v", e, p.inode)
	}
	comm, err := os.ReadFile("/proc/self/comm")
	check(t, err)
	if e.Holder != event.HolderUmem || e.PID != uint32(unix.Getpid()) || e.Comm != strings.TrimSpace(string(comm)) {
		t.Errorf("holder %s, pid %d, comm %q", e.Holder, e.PID, e.Comm)
	}
	var now unix.Timespec
	check(t, unix.ClockGettime(unix.CLOCK_MONOTONIC, &now))
	if age := time.Duration(now.Nano() - int64(e.TimeNS)); age < 0 || age > time.Minute {
		t.Errorf("the event is %v old", age)
	}
	if !leadsFrom(e.Stack, "ib_umem_release", "ib_dereg_mr") {
		t.Errorf("the stack does not lead from the system call to ib_umem_release: %q", e.Stack)
	}
	w.wantLost(t, event.Lost{})
}

// leadsFrom tells whether the innermost function of a stack is the first, or one that it
// calls, and whether a caller of the name is above it.
func leadsFrom(stack []string, first, caller string) bool {
	return len(stack) > 0 && strings.Contains(stack[0], first) &&
		slices.ContainsFunc(stack, func(f string) bool { return strings.HasPrefix(f, caller) }) &&
		slices.ContainsFunc(stack, func(f string) bool { return strings.Contains(f, "syscall") })
}

func testDirtyAlready(t *testing.T) {
	p := mapFile(t, filepath.Join(t.TempDir(), "region"), 1024)
	p.register(t, openPD(t))
	w := attach(t, Options{})
	w.read(t)
	p.touch(0, 1)
	p.release(t)
	if got := w.counted(t, p.inode); got != (event.Count{Inode: p.inode}) {
		t.Errorf("counted %+v of pages that were dirty", got)
	}
	if events := w.delivered(t); len(events) != 0 {
		t.Errorf("events for pages that were dirty: %+v", events)
	}
}

// Anonymous memory has no file to be told, nor has it lost one; also where it is
// of huge pages, and the page dirtied may not be a head.
func testAnonymous(t *testing.T) {
	for _, huge := range []bool{false, true} {
		mem, err := unix.Mmap(-1, 0, 1024*pageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
		check(t, err)
		t.Cleanup(func() { check(t, unix.Munmap(mem)) })
		p := pin{mem: mem}
		if huge {
			check(t, unix.Madvise(mem, unix.MADV_HUGEPAGE))
			clear(mem) // not touch: to read first would take the page of zeros, and small ones after it
			if !p.inHugePage(t) {
				t.Fatal("there are no huge pages in the region")
			}
		}
		p.register(t, openPD(t))
		w := attach(t, Options{})
		w.read(t)
		p.release(t)
		counts, err := w.Counts()
		check(t, err)
		if events := w.delivered(t); len(counts) != 0 || len(events) != 0 {
			t.Errorf("anonymous memory made counts %+v, events %+v", counts, events)
		}
	}
}

func testTwoFiles(t *testing.T) {
	pd := openPD(t)
	a, b := pinFile(t, pd, 300), pinFile(t, pd, 500)
	if a.inode == b.inode {
		t.Fatalf("two files are one: %+v", a.inode)
	}
	w := attach(t, Options{})
	w.read(t)
	a.release(t)
	b.release(t)
	for _, want := range []event.Count{wantCount(a.inode, 300), wantCount(b.inode, 500)} {
		if got := w.counted(t, want.Inode); got != want {
			t.Errorf("counted %+v, want %+v", got, want)
		}
	}
	events := w.delivered(t)
	if len(events) != 2 || events[0].Inode != a.inode || events[0].Pages != 300 ||
		events[1].Inode != b.inode || events[1].Pages != 500 {
		t.Errorf("events %+v", events)
	}
}

// With every other page dirty already, each page is a run of its own, and a
// small ring that nobody reads overflows.
func testRingFull(t *testing.T) {
	const pages, dirtied = 1024, 512
	p := pinFile(t, openPD(t), pages)
	p.touch(1, 2)
	w := attach(t, Options{Events: pageSize})
	p.release(t)
	if got, want := w.counted(t, p.inode), wantCount(p.inode, dirtied); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
	w.read(t)
	events := w.delivered(t)
	room := pageSize / (event.RecordSize + 8) // the kernel puts 8 bytes before each record
	if len(events) != room {
		t.Errorf("%d events from a ring with room for %d", len(events), room)
	}
	for i, e := range events {
		if e.Inode != p.inode || e.Index != uint64(2*i) || e.Pages != 1 {
			t.Fatalf("event %d: %+v", i, e)
		}
	}
	w.wantLost(t, event.Lost{Events: uint64(dirtied - len(events))})
}

// The pages of a process that dies are released, too, by itself, in exit.
func testHolderKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "region")
	holder := startHolder(t, path)
	w := attach(t, Options{})
	w.read(t)
	var stat unix.Stat_t
	check(t, unix.Stat(path, &stat))
	inode := event.Inode{Device: unix.Major(stat.Dev)<<20 | unix.Minor(stat.Dev), Number: stat.Ino}
	check(t, holder.Kill())
	_, err := holder.Wait()
	check(t, err)
	want := wantCount(inode, 256)
	for until := time.Now().Add(10 * time.Second); w.counted(t, inode) != want; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("counted %+v, want %+v", w.counted(t, inode), want)
		}
	}
	events := w.delivered(t)
	if len(events) != 1 || events[0].PID != uint32(holder.Pid) || events[0].Pages != 256 {
		t.Errorf("events %+v, want one of process %d", events, holder.Pid)
	}
}

func testNoStacks(t *testing.T) {
	p := pinFile(t, openPD(t), 16)
	w := attach(t, Options{NoStacks: true})
	w.read(t)
	p.release(t)
	events := w.delivered(t)
	if len(events) != 1 || events[0].StackID >= 0 {
		t.Fatalf("events %+v", events)
	}
	if check(t, w.Symbolise(&events[0])); events[0].Stack != nil {
		t.Errorf("stack %q", events[0].Stack)
	}
	w.wantLost(t, event.Lost{})
}

func testFileRefused(t *testing.T) {
	p := mapFile(t, filepath.Join(t.TempDir(), "region"), 64)
	w := attach(t, Options{})
	_, err := openPD(t).RegisterMR(p.mem, rdma.AccessLocalWrite|rdma.AccessRemoteWrite)
	if !errors.Is(err, rdma.ErrPinRefused) {
		t.Errorf("registering a file: %v", err)
	}
	if got := w.counted(t, p.inode); got != (event.Count{Inode: p.inode}) {
		t.Errorf("counted %+v of a file that was not pinned", got)
	}
}

// Where the funnel cannot be had, ext4's own hook serves, and the session says
// what it does not see.
func testWithoutFunnel(t *testing.T) {
	saved := inUse
	t.Cleanup(func() { inUse = saved })
	inUse.dirtied.sites = withoutSites(inUse.dirtied.sites, 2)
	p := pinFile(t, openPD(t), 64)
	w := attach(t, Options{})
	w.read(t)
	p.release(t)
	if got, want := w.counted(t, p.inode), wantCount(p.inode, 64); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
	a := w.Attachments()[2]
	if !a.Attached() || a.Without != withoutFunnel || !strings.HasPrefix(a.Symbol, "ext4_") || len(a.Denied) == 0 {
		t.Errorf("%+v", a)
	}
	if events := w.delivered(t); len(events) != 1 || events[0].Filesystem != "ext4" || events[0].Pages != 64 {
		t.Errorf("events %+v", events)
	}
}

// Where siw has a umem, its own release is around that of the umem, which has the pages and the region then. The one of siw is made
// up: no kernel here has such a siw.
func TestReleaseOfSiwContains(t *testing.T) {
	const pages = 16
	p := mapAnyFile(t, filepath.Join(mountTmpfs(t), "region"), pages)
	pd := openPD(t)
	w := attach(t, Options{Kinds: []event.Kind{event.Pinned, event.Released}})
	w.read(t)
	p.register(t, pd)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	id := uint32(unix.Gettid())
	around := dirtyRelease{
		Run:     dirtyEvent{Kind: dirtyKindKIND_DIRTIED, Holder: dirtyHolderHOLDER_UMEM, Pid: uint32(unix.Getpid()), Tid: id},
		Mapping: 1, Stack: -1, Siw: 1, Region: 1 << 63,
	}
	check(t, errors.Join(w.coll.Maps[dirtyMapReleases].Put(id, around), w.coll.Variables[dirtyVarActive].Set(uint64(1))))
	p.release(t)
	var left dirtyRelease
	if w.coll.Maps[dirtyMapReleases].Lookup(id, &left) == nil {
		t.Errorf("a release is left: %+v", left)
	}
	want := event.Count{Inode: p.inode, Filesystem: "tmpfs", DirtiedPages: pages, UnannouncedPages: pages, DirtiedFolios: pages}
	if got := w.counted(t, p.inode); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
	var ended []event.Event
	for _, e := range w.delivered(t) {
		if e.Kind == event.Released {
			ended = append(ended, e)
		}
	}
	if len(ended) != 1 || ended[0].Inode != p.inode || ended[0].Pages != pages || ended[0].End.Unseen {
		t.Errorf("released: %+v", ended)
	}
	w.wantLost(t, event.Lost{})
}
