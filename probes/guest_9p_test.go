//go:build guest

package probes

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hugelgupf/p9/fsimpl/templatefs"
	"github.com/hugelgupf/p9/p9"
	"golang.org/x/sys/unix"

	"umemstress/probes/event"
)

// p9File is a 9p server's root, which is a file. Its reads wait.
type p9File struct {
	templatefs.NoopFile
	asked, answer chan struct{}
}

var p9QID = p9.QID{Type: p9.TypeRegular, Path: 1}

func (f *p9File) Attach() (p9.File, error)                  { return f, nil }
func (f *p9File) Walk([]string) ([]p9.QID, p9.File, error)  { return nil, f, nil }
func (f *p9File) Open(p9.OpenFlags) (p9.QID, uint32, error) { return p9QID, 0, nil }
func (f *p9File) GetAttr(asked p9.AttrMask) (p9.QID, p9.AttrMask, p9.Attr, error) {
	return p9QID, asked, p9.Attr{Mode: p9.ModeRegular | 0o400, NLink: 1, Size: 1 << 20}, nil
}

func (f *p9File) ReadAt(into []byte, _ int64) (int, error) {
	f.asked <- struct{}{}
	<-f.answer
	return len(into), nil
}

// mount9P serves the file to the kernel, and opens it there.
func mount9P(t *testing.T) (*p9File, *os.File) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	check(t, err)
	kernels, ours := os.NewFile(uintptr(pair[0]), "the kernel's"), os.NewFile(uintptr(pair[1]), "the server's")
	conn, err := net.FileConn(ours)
	check(t, err)
	check(t, ours.Close())
	served := &p9File{asked: make(chan struct{}), answer: make(chan struct{})}
	go func() { _ = p9.NewServer(served).Handle(conn, conn) }() // until it is unmounted
	at := filepath.Join(t.TempDir(), "file")
	check(t, os.WriteFile(at, nil, 0o600))
	options := fmt.Sprintf("trans=fd,rfdno=%d,wfdno=%[1]d,version=9p2000.L,cache=none,access=any", kernels.Fd())
	check(t, unix.Mount("none", at, "9p", 0, options))
	check(t, kernels.Close())
	file, err := os.OpenFile(at, os.O_RDONLY|unix.O_DIRECT, 0)
	check(t, err)
	t.Cleanup(func() {
		check(t, file.Close())
		check(t, unix.Unmount(at, 0))
		check(t, exec.Command("modprobe", "-r", "9pnet_fd").Run())
	})
	return served, file
}

// Pages that are cleaned while a read waits are dirtied by its release, in the thread that reads; of what the
// read itself has faulted in, the file system has been told.
func TestNetfsRead(t *testing.T) {
	if !slices.Contains(holdersHere(), event.Holder9P) {
		t.Skip("before Linux 6.8 netfs makes no direct reads: use 6.12")
	}
	const n = 8 // fewer bytes than one message has
	served, file := mount9P(t)
	faulted := mapAnyFile(t, filepath.Join(mount(t, "vfat", "mkfs.vfat", 16), "region"), n) // whose code marks a page dirty as releases do
	check(t, unix.Msync(faulted.mem, unix.MS_SYNC))                                         // write-protects them
	p := mapFile(t, filepath.Join(t.TempDir(), "region"), n)
	w := attach(t, Options{Holders: []string{event.Holder9P}})
	check(t, w.ReadSymbols())
	w.read(t)
	read := func(mem []byte, meanwhile func()) {
		t.Helper()
		done := make(chan error)
		go func() {
			got, err := unix.Pread(int(file.Fd()), mem, 0)
			if err == nil && got != len(mem) {
				err = fmt.Errorf("%d of %d bytes", got, len(mem))
			}
			done <- err
		}()
		<-served.asked
		meanwhile()
		served.answer <- struct{}{}
		check(t, <-done)
	}
	read(faulted.mem, func() {})
	if got := w.counted(t, faulted.inode); got.DirtiedPages != 0 {
		t.Errorf("counted %+v of pages that the read has faulted in", got)
	}
	read(p.mem, func() { p.cleanAndStrip(t) })
	if got := w.counted(t, p.inode); got.UnannouncedPages != n || got.DirtiedPages != n {
		t.Errorf("counted %+v, want %d pages", got, n)
	}
	told := 0
	for _, e := range w.delivered(t) {
		check(t, w.Symbolise(&e))
		if e.Holder != event.Holder9P || e.Inode != p.inode || e.PID != uint32(os.Getpid()) || e.Owner.PID != e.PID {
			t.Errorf("event %+v", e)
		}
		if e.Unannounced {
			told += int(e.Pages)
			if !slices.ContainsFunc(e.Stack, func(f string) bool { return strings.HasPrefix(f, "netfs_unbuffered_read_iter_locked+") }) {
				t.Errorf("the stack has no release: %q", e.Stack)
			}
		}
	}
	if told != n {
		t.Errorf("%d pages are told of, want %d", told, n)
	}
	w.wantLost(t, event.Lost{})
}

// Before netfs made direct reads, a session watches those over virtio, which the guest's own files are read by, too.
func TestVirtioRead(t *testing.T) {
	if slices.Contains(holdersHere(), event.Holder9P) {
		t.Skip("since Linux 6.8 9p reads through netfs, as TestNetfsRead holds: use 5.10 or 6.1")
	}
	w := attach(t, Options{Holders: []string{event.Holder9P}})
	if !slices.ContainsFunc(w.Attachments(), func(a Attachment) bool { return a.Symbol == "p9_virtio_zc_request" && a.Required }) {
		t.Errorf("attached at %+v", w.Attachments())
	}
	w.wantLost(t, event.Lost{})
}
