//go:build guest

package probes

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/probes/event"
	"umemstress/rdma"
)

// What the release of a region dirties is seen on every file system, under its
// name, and only ext4's code, which serves ext2 here, loses a page for its
// buffers.
func TestFilesystems(t *testing.T) {
	for name, c := range map[string]struct {
		mkfs       string
		mib        int64
		bufferless bool // if reclaim strips pinned pages
	}{
		"ext2": {"mkfs.ext2 -q -F", 16, true},
		"ext3": {"mkfs.ext3 -q -F", 32, true},
		"xfs":  {"mkfs.xfs -q", 320, false},
		"vfat": {"mkfs.vfat", 16, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := mapAnyFile(t, filepath.Join(mount(t, name, c.mkfs, c.mib), "region"), 128)
			testFilesystem(t, p, name, c.bufferless && *expect == "bufferless")
		})
	}
	t.Run("block device", func(t *testing.T) {
		testFilesystem(t, mapAnyFile(t, loopDevice(t, sparseFile(t, 1)), 128), "bdev", false)
	})
}

func testFilesystem(t *testing.T, p pin, filesystem string, bufferless bool) {
	pages := uint64(len(p.mem) / pageSize)
	want := event.Count{Inode: p.inode, Filesystem: filesystem, DirtiedPages: pages, UnannouncedPages: pages}
	if bufferless {
		want.BufferlessPages = pages
	}
	pd := openPD(t)
	var w *witness
	if *expect == "refused" {
		if _, err := pd.RegisterMR(p.mem, rdma.AccessLocalWrite); !errors.Is(err, rdma.ErrPinRefused) {
			t.Errorf("registering a file: %v", err)
		}
		// What it refuses to RDMA, it lets a direct read do.
		disk := newHoldableDisk(t, 1)
		w = attach(t, Options{Holders: []string{event.HolderDIO}})
		w.read(t)
		finish := disk.readHeld(t, p.mem)
		p.cleanAndStrip(t)
		finish()
	} else {
		p.register(t, pd)
		p.cleanAndStrip(t)
		w = attach(t, Options{})
		w.read(t)
		p.release(t)
	}
	got := w.counted(t, p.inode)
	if got.DirtiedFolios == 0 || got.DirtiedFolios > pages || bufferless && got.BufferlessFolios != got.DirtiedFolios {
		t.Errorf("counted %+v: %d pages cannot be so many folios", got, pages)
	}
	want.DirtiedFolios, want.BufferlessFolios = got.DirtiedFolios, got.BufferlessFolios // their sizes are the file system's choice
	if got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
	for _, e := range w.delivered(t) {
		if e.Inode != p.inode || e.Filesystem != filesystem || e.Bufferless != bufferless || !e.Unannounced || e.Detached {
			t.Errorf("event %+v", e)
		}
	}
	w.wantLost(t, event.Lost{})
	if bufferless {
		// ext4 does what is said of it: it drops them, with a warning for each.
		check(t, unix.Msync(p.mem, unix.MS_SYNC))
		if got := extWarnings(t, p.inode); got != pages {
			t.Errorf("ext4 warned of %d pages, %d are bufferless", got, pages)
		}
	}
}

// extWarnings reads how often ext4 has warned of a file system.
func extWarnings(t *testing.T, file event.Inode) (count uint64) {
	t.Helper()
	device, err := os.Readlink(fmt.Sprintf("/sys/dev/block/%d:%d", file.Device>>20, file.Device&(1<<20-1)))
	check(t, err)
	text, err := os.ReadFile(filepath.Join("/sys/fs/ext4", filepath.Base(device), "warning_count"))
	check(t, err)
	_, err = fmt.Sscan(string(text), &count)
	check(t, err)
	return count
}

// tmpfs may be pinned on every kernel. Its pages never have buffers, nor need
// them. A huge page counts as the pages that it is made of.
func TestTmpfs(t *testing.T) {
	for name, c := range map[string]struct {
		huge          string
		pages, folios int
	}{
		"pages":      {"never", 64, 64},
		"huge pages": {"always", 1024, 2},
	} {
		t.Run(name, func(t *testing.T) {
			p := mapAnyFile(t, filepath.Join(mountAt(t, "tmpfs", "none", "huge="+c.huge), "region"), c.pages)
			if huge := p.inHugePage(t); huge != (c.huge == "always") {
				t.Fatalf("in a huge page: %v", huge)
			}
			p.register(t, openPD(t))
			w := attach(t, Options{})
			p.release(t)
			n := uint64(c.pages)
			want := event.Count{Inode: p.inode, Filesystem: "tmpfs", DirtiedPages: n, UnannouncedPages: n, DirtiedFolios: uint64(c.folios)}
			if got := w.counted(t, p.inode); got != want {
				t.Errorf("counted %+v, want %+v", got, want)
			}
		})
	}
}

// inHugePage tells whether the page in the middle of the region is part of a
// huge one.
func (p *pin) inHugePage(t *testing.T) bool {
	t.Helper()
	const thp = 1 << 22 // KPF_THP, include/uapi/linux/kernel-page-flags.h
	number := func(path string, index uint64) uint64 {
		t.Helper()
		file, err := os.Open(path)
		check(t, err)
		defer file.Close()
		var word [8]byte
		_, err = file.ReadAt(word[:], int64(index*8))
		check(t, err)
		return binary.LittleEndian.Uint64(word[:])
	}
	middle := uint64(address(p.mem[len(p.mem)/2:]))
	frame := number("/proc/self/pagemap", middle/pageSize) & (1<<55 - 1)
	return number("/proc/kpageflags", frame)&thp != 0
}

// Pages whose file lets go of them while they are pinned are counted by
// themselves, as of no file.
func TestDetached(t *testing.T) {
	if *expect != "refused" {
		t.Run("ext4", func(t *testing.T) { testDetached(t, t.TempDir()) })
	}
	t.Run("tmpfs", func(t *testing.T) { testDetached(t, mountTmpfs(t)) })
}

func testDetached(t *testing.T, dir string) {
	const pages, kept = 256, 3
	p := mapAnyFile(t, filepath.Join(dir, "region"), pages)
	p.register(t, openPD(t))
	check(t, unix.Msync(p.mem, unix.MS_SYNC))
	check(t, unix.Fallocate(int(p.file.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, kept*pageSize, (pages-kept)*pageSize))
	w := attach(t, Options{})
	w.read(t)
	p.release(t)
	want := event.Count{DetachedPages: pages - kept, DirtiedPages: pages - kept, DirtiedFolios: pages - kept}
	if got := w.counted(t, event.Inode{}); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
	if got := w.counted(t, p.inode); got.DirtiedPages != kept || got.DetachedPages != 0 {
		t.Errorf("of the pages that were not detached, counted %+v", got)
	}
	events := w.delivered(t)
	if len(events) != 2 || events[0].Detached || events[0].Inode != p.inode || events[0].Pages != kept {
		t.Fatalf("events %+v", events)
	}
	if e := events[1]; !e.Detached || e.Bufferless || e.Unannounced || e.Inode != (event.Inode{}) || e.Filesystem != "" ||
		e.Index != kept || e.Pages != pages-kept {
		t.Errorf("event %+v", e)
	}
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func sparseFile(t *testing.T, mib int64) string {
	t.Helper()
	image := filepath.Join(t.TempDir(), "image")
	check(t, os.WriteFile(image, nil, 0o600))
	check(t, os.Truncate(image, mib<<20))
	return image
}

func loopDevice(t *testing.T, image string) string {
	t.Helper()
	device := run(t, "losetup", "--find", "--show", image)
	t.Cleanup(func() { run(t, "losetup", "--detach", device) })
	return device
}

// mount makes a file system and mounts it until the test ends.
func mount(t *testing.T, filesystem, mkfs string, mib int64) string {
	t.Helper()
	device := loopDevice(t, sparseFile(t, mib))
	command := append(strings.Fields(mkfs), device)
	run(t, command[0], command[1:]...)
	return mountAt(t, filesystem, device, "defaults")
}

func mountTmpfs(t *testing.T) string { return mountAt(t, "tmpfs", "none", "defaults") }

func mountAt(t *testing.T, filesystem, device, options string) string {
	t.Helper()
	dir := t.TempDir()
	run(t, "mount", "-t", filesystem, "-o", options, device, dir)
	t.Cleanup(func() { run(t, "umount", dir) })
	return dir
}
