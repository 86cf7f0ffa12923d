//go:build guest

package probes

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/probes/event"
)

// A direct read into a mapping is held up while writeback and reclaim have their
// way with its pages. One bio is released by the reader; more than one, when
// they find their pages clean, by a worker.
func TestDirectRead(t *testing.T) {
	for name, pages := range map[string]int{"by the reader": 64, "by a worker": 1024} {
		t.Run(name, func(t *testing.T) {
			disk := newHoldableDisk(t, 8)
			p := mapFile(t, filepath.Join(t.TempDir(), "region"), pages)
			w := attach(t, Options{Holders: []string{event.HolderDIO}})
			check(t, w.ReadSymbols())
			w.symbols.open = func() (io.ReadCloser, error) {
				t.Error("the table of symbols is read again for a stack")
				return os.Open("/proc/kallsyms")
			}
			w.read(t)
			finish := disk.readHeld(t, p.mem)
			p.cleanAndStrip(t)
			if got := w.counted(t, p.inode); got.UnannouncedPages != 0 {
				t.Errorf("counted %+v before the read was complete", got)
			}
			finish()
			n := uint64(pages)
			want := event.Count{Inode: p.inode, Filesystem: "ext4", DirtiedPages: n, UnannouncedPages: n, DirtiedFolios: n}
			if *expect != "refused" { // older kernels' reads take plain references, which reclaim does not look at
				want.BufferlessPages, want.BufferlessFolios = n, n
			}
			w.waitFor(t, want)
			var sum uint64
			events := w.delivered(t)
			for _, e := range events {
				if e.Holder != event.HolderDIO || e.Inode != p.inode || !e.Unannounced {
					t.Errorf("event %+v", e)
				}
				sum += e.Pages
				check(t, w.Symbolise(&e))
				if !slices.ContainsFunc(e.Stack, func(f string) bool { return strings.Contains(f, "bio_release_pages") }) {
					t.Errorf("the stack has no release: %q", e.Stack)
				}
			}
			if sum != n {
				t.Errorf("events of %d pages for %d", sum, n)
			}
			t.Logf("%d events, one by %q", len(events), events[0].Comm)
			if own := events[0].PID == uint32(unix.Getpid()); own != (name == "by the reader") {
				t.Errorf("dirtied in process %d, %q", events[0].PID, events[0].Comm)
			}
			w.wantQuiet(t)
		})
	}
}

// Of a read that nothing interferes with, the file system has been told.
func TestDirectReadAnnounced(t *testing.T) {
	disk := newHoldableDisk(t, 8)
	p := mapFile(t, filepath.Join(t.TempDir(), "region"), 1024)
	check(t, unix.Msync(p.mem, unix.MS_SYNC))
	w := attach(t, Options{Holders: []string{event.HolderDIO}})
	disk.readHeld(t, p.mem)()
	if got := w.counted(t, p.inode); got.UnannouncedPages != 0 || got.BufferlessPages != 0 {
		t.Errorf("counted %+v", got)
	}
	w.wantQuiet(t)
}

// process_vm_writev faults the pages in, and so announces them where there is
// one to be told. tmpfs is not told, so there its dirtying is seen on every
// kernel.
func TestVMWritev(t *testing.T) {
	const pages = 48
	w := attach(t, Options{Holders: []string{event.HolderVMWritev}})
	w.read(t)
	told := mapFile(t, filepath.Join(t.TempDir(), "region"), pages)
	check(t, unix.Msync(told.mem, unix.MS_SYNC))
	told.writev(t)
	if got := w.counted(t, told.inode); got != (event.Count{Inode: told.inode}) {
		t.Errorf("counted %+v of pages that the file system was told of", got)
	}
	p := mapAnyFile(t, filepath.Join(mountTmpfs(t), "region"), pages)
	p.writev(t)
	want := event.Count{Inode: p.inode, Filesystem: "tmpfs", DirtiedPages: pages, UnannouncedPages: pages, DirtiedFolios: pages}
	if got := w.counted(t, p.inode); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
	var sum uint64
	for _, e := range w.delivered(t) {
		if e.Holder != event.HolderVMWritev || e.Inode != p.inode || e.PID != uint32(unix.Getpid()) {
			t.Errorf("event %+v", e)
		}
		sum += e.Pages
	}
	if sum != pages {
		t.Errorf("events of %d pages for %d", sum, pages)
	}
	w.wantQuiet(t)
}

// The pages of a packet socket's ring are a driver's own: they are dirtied
// without a file, but not because one was taken from them.
func TestDriversPagesAreNotDetached(t *testing.T) {
	socket, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
	check(t, err)
	t.Cleanup(func() { check(t, unix.Close(socket)) })
	const pages = 8
	check(t, unix.SetsockoptTpacketReq(socket, unix.SOL_PACKET, unix.PACKET_RX_RING,
		&unix.TpacketReq{Block_size: pageSize, Block_nr: pages, Frame_size: pageSize, Frame_nr: pages}))
	mem, err := unix.Mmap(socket, 0, pages*pageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	check(t, err)
	t.Cleanup(func() { check(t, unix.Munmap(mem)) })
	w := attach(t, Options{Holders: []string{event.HolderVMWritev}})
	p := pin{mem: mem}
	p.writev(t)
	if counts, err := w.Counts(); err != nil || len(counts) != 0 {
		t.Errorf("counted %+v, %v", counts, err)
	}
}

// writev writes all of the mapping by process_vm_writev.
func (p *pin) writev(t *testing.T) {
	t.Helper()
	check(t, writeVM(p.mem))
}

func writeVM(mem []byte) error {
	bytes := make([]byte, len(mem))
	local := []unix.Iovec{{Base: &bytes[0], Len: uint64(len(bytes))}}
	remote := []unix.RemoteIovec{{Base: address(mem), Len: len(mem)}}
	n, err := unix.ProcessVMWritev(unix.Getpid(), local, remote, 0)
	if err == nil && n != len(bytes) {
		err = fmt.Errorf("process_vm_writev wrote %d bytes of %d", n, len(bytes))
	}
	return err
}

// waitFor waits until the count is as wanted: a worker takes its time.
func (w *witness) waitFor(t *testing.T, want event.Count) {
	t.Helper()
	for until := time.Now().Add(10 * time.Second); w.counted(t, want.Inode) != want; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("counted %+v, want %+v", w.counted(t, want.Inode), want)
		}
	}
}

// wantQuiet: nothing was lost, and every release that was entered was left.
func (w *witness) wantQuiet(t *testing.T) {
	t.Helper()
	w.wantLost(t, event.Lost{})
	var active uint64
	check(t, w.coll.Variables[dirtyVarActive].Get(&active))
	if active != 0 {
		t.Errorf("%d releases still active", active)
	}
}

// A holdableDisk can hold reads up: it is a suspended device of device mapper.
type holdableDisk struct{ name string }

func newHoldableDisk(t *testing.T, mib int64) holdableDisk {
	t.Helper()
	run(t, "modprobe", "dm_mod")
	d := holdableDisk{fmt.Sprintf("umemstress%d", unix.Getpid())}
	table := fmt.Sprintf("0 %d linear %s 0", mib<<11, loopDevice(t, sparseFile(t, mib)))
	t.Setenv("DM_DISABLE_UDEV", "1") // the lab's guests have none, and dmsetup does its work then
	run(t, "dmsetup", "create", d.name, "--table", table)
	t.Cleanup(func() { run(t, "dmsetup", "remove", "--retry", d.name) })
	return d
}

// readHeld begins direct reads into parts of memory, each by a thread of its own,
// and returns when their pages are taken and they wait for the disk. finish lets
// them complete.
func (d holdableDisk) readHeld(t *testing.T, parts ...[]byte) (finish func()) {
	t.Helper()
	disk, err := os.OpenFile("/dev/mapper/"+d.name, os.O_RDONLY|unix.O_DIRECT, 0)
	check(t, err)
	run(t, "dmsetup", "suspend", "--nolockfs", "--noflush", d.name)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	done := make(chan error, len(parts))
	for _, mem := range parts {
		tid := make(chan int, 1)
		go func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			tid <- unix.Gettid()
			n, err := unix.Pread(int(disk.Fd()), mem, 0)
			if err == nil && n != len(mem) {
				err = fmt.Errorf("read %d bytes of %d", n, len(mem))
			}
			done <- err
		}()
		for stat := fmt.Sprintf("/proc/self/task/%d/stat", <-tid); ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
			text, err := os.ReadFile(stat)
			check(t, err)
			if bytes.Contains(text, []byte(") D ")) {
				break
			}
		}
	}
	finished := false
	finish = func() {
		t.Helper()
		finished = true
		run(t, "dmsetup", "resume", d.name)
		for range parts {
			check(t, <-done)
		}
		check(t, disk.Close())
	}
	t.Cleanup(func() {
		if !finished {
			finish()
		}
	})
	if ctx.Err() != nil {
		t.Fatal("the read does not wait for the disk")
	}
	return finish
}
