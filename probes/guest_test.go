//go:build guest

package probes

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/probes/event"
	"umemstress/rdma"
	"umemstress/soft-roce/leaktest"
)

// The tests with the build tag guest need root and a soft-RoCE device. Run them
// in the lab, where the temporary directory is on ext4:
//
//	go test -c -tags guest -o /tmp/probes.test ./probes
//	umemstress lab exec --kernel 5.10 -- /tmp/probes.test -test.v -expect=bufferless
var expect = flag.String("expect", "", "what becomes of pinned pages that reclaim wants: "+
	"bufferless (5.10), unannounced (6.1: buffers are kept) or refused (6.12 and newer: no pin of files)")

const (
	pageSize = 4096
	pageout  = 21 // MADV_PAGEOUT, since 5.4

	// roleVariable lets the test binary play a part in a process of its own:
	// to attach without privilege, or to pin the file named and be killed.
	roleVariable     = "UMEMSTRESS_PROBES_TEST_ROLE"
	roleUnprivileged = "unprivileged"
)

func TestMain(m *testing.M) {
	flag.Parse()
	switch role := os.Getenv(roleVariable); role {
	case "":
	case roleUnprivileged:
		_, err := Attach(Options{})
		fmt.Println(err)
		os.Exit(0)
	default:
		if how, serves := strings.CutPrefix(role, roleFUSE); serves {
			serveFUSE(how)
		}
		holdUntilKilled(role)
	}
	// Of the modules that hooks are in, these are not there by themselves.
	if out, err := exec.Command("modprobe", "-a", "vmw_vmci", "nfsv3", "fuse", "videobuf2_v4l2", "videobuf2_memops").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "modprobe: %v: %s", err, out)
		os.Exit(1)
	}
	code := leaktest.Run(m)
	for _, module := range []string{"vmw_vmci", "nfsv3", "nfs", "lockd", "sunrpc", "fuse", "videobuf2_memops", "videobuf2_v4l2", "videobuf2_common", "videodev", "mc"} { // kmod leaves what a module needed that needs others
		if out, err := exec.Command("modprobe", "-r", module).CombinedOutput(); err != nil {
			if strings.Contains(string(out), "builtin") { // as newer kernels have FUSE
				continue
			}
			fmt.Fprintf(os.Stderr, "modprobe -r %s: %v: %s", module, err, out)
			os.Exit(1)
		}
	}
	os.Exit(code)
}

// A pin is a registered region.
type pin struct {
	file  *os.File
	mem   []byte
	inode event.Inode
	mr    *rdma.MR
}

func openPD(tb testing.TB) *rdma.PD {
	tb.Helper()
	device, err := rdma.FindDevice("/sys", "")
	check(tb, err)
	ctx, err := rdma.Open(device)
	check(tb, err)
	tb.Cleanup(func() { check(tb, ctx.Close()) })
	pd, err := ctx.AllocPD()
	check(tb, err)
	return pd
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// mapFile maps a new file of that many pages on ext4, all written.
func mapFile(tb testing.TB, path string, pages int) pin {
	tb.Helper()
	var fs unix.Statfs_t
	check(tb, unix.Statfs(filepath.Dir(path), &fs))
	if fs.Type != unix.EXT4_SUPER_MAGIC {
		tb.Fatalf("%s is not on ext4; set TMPDIR", path)
	}
	return mapAnyFile(tb, path, pages)
}

// mapAnyFile maps a new file of that many pages, all written, or a device.
func mapAnyFile(tb testing.TB, path string, pages int) pin {
	tb.Helper()
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	check(tb, err)
	tb.Cleanup(func() { check(tb, file.Close()) })
	var stat unix.Stat_t
	check(tb, unix.Fstat(int(file.Fd()), &stat))
	if stat.Mode&unix.S_IFMT == unix.S_IFBLK {
		stat.Dev, stat.Ino = stat.Rdev, 0
	} else {
		check(tb, file.Truncate(int64(pages)*pageSize))
	}
	mem, err := unix.Mmap(int(file.Fd()), 0, pages*pageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	check(tb, err)
	tb.Cleanup(func() { check(tb, unix.Munmap(mem)) })
	p := pin{file: file, mem: mem, inode: event.Inode{
		Device: unix.Major(stat.Dev)<<20 | unix.Minor(stat.Dev),
		Number: stat.Ino,
	}}
	// The first access is a read: a page of tmpfs is dirty once it is faulted in
	// to be written to, and no holder would be seen to dirty it.
	for i := 0; i < len(mem); i += pageSize {
		sum += mem[i]
	}
	p.touch(0, 1)
	return p
}

var sum byte // keeps the compiler from dropping a read

// touch writes to every step-th page, beginning at first.
func (p *pin) touch(first, step int) {
	for i := first * pageSize; i < len(p.mem); i += step * pageSize {
		p.mem[i]++
	}
}

func (p *pin) register(tb testing.TB, pd *rdma.PD) {
	tb.Helper()
	mr, err := pd.RegisterMR(p.mem, rdma.AccessLocalWrite|rdma.AccessRemoteWrite)
	check(tb, err)
	p.mr = mr
}

// cleanAndStrip lets writeback and reclaim have their way with the pages. Those
// on another CPU's list of pages yet to be put on the LRU lists are passed over
// by reclaim; FADV_DONTNEED empties these lists when it meets pages that it can
// not drop, and these are mapped.
func (p *pin) cleanAndStrip(tb testing.TB) {
	tb.Helper()
	check(tb, unix.Msync(p.mem, unix.MS_SYNC))
	check(tb, unix.Fadvise(int(p.file.Fd()), 0, 0, unix.FADV_DONTNEED))
	check(tb, unix.Madvise(p.mem, pageout))
}

func (p *pin) release(tb testing.TB) time.Duration {
	tb.Helper()
	start := time.Now()
	check(tb, p.mr.Close())
	return time.Since(start)
}

// pinFile makes a file, pins it, and has its pages cleaned and stripped.
func pinFile(t *testing.T, pd *rdma.PD, pages int) pin {
	t.Helper()
	p := mapFile(t, filepath.Join(t.TempDir(), "region"), pages)
	p.register(t, pd)
	p.cleanAndStrip(t)
	return p
}

// A witness gathers the events of a session.
type witness struct {
	*Session
	mu     sync.Mutex
	events []event.Event
}

// inUse is what the sessions of tests attach to.
var inUse = stock()

func attach(t *testing.T, opts Options) *witness {
	t.Helper()
	s, err := attachBy(inUse, opts)
	check(t, err)
	w := &witness{Session: s}
	t.Cleanup(func() { check(t, s.Close()) })
	return w
}

// read starts delivery; it ends with the test.
func (w *witness) read(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() {
		ended <- w.Events(ctx, func(e event.Event) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.events = append(w.events, e)
		})
	}()
	t.Cleanup(func() {
		cancel()
		check(t, <-ended)
	})
}

// delivered returns all events sent so far.
func (w *witness) delivered(t *testing.T) []event.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	check(t, w.Drain(ctx))
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.events
}

// counted returns the counts of a file, whoever held it, zero if it has none.
func (w *witness) counted(t *testing.T, file event.Inode) event.Count {
	t.Helper()
	counts, err := w.Counts()
	check(t, err)
	return event.Of(counts, file)
}

func (w *witness) wantLost(t *testing.T, want event.Lost) {
	t.Helper()
	lost, err := w.Lost()
	check(t, err)
	if lost != want {
		t.Errorf("lost %+v, want %+v", lost, want)
	}
}

// wantCount is what the kernel is to count when n pages are dirtied that had
// been cleaned and, if it does that to pinned pages, stripped.
func wantCount(file event.Inode, n uint64) event.Count {
	c := event.Count{Inode: file, Filesystem: "ext4", DirtiedPages: n, UnannouncedPages: n, DirtiedFolios: n}
	if *expect == "bufferless" {
		c.BufferlessPages, c.BufferlessFolios = n, n
	}
	return c
}

// holdUntilKilled pins a file and waits with its pages clean and stripped.
func holdUntilKilled(path string) {
	var tb child
	p := mapFile(tb, path, 256)
	p.register(tb, openPD(tb))
	p.cleanAndStrip(tb)
	os.Stdout.WriteString("pinned\n")
	for {
		unix.Pause()
	}
}

// child is the little that a process without tests needs of testing.TB.
type child struct{ testing.TB }

func (child) Helper()        {}
func (child) Cleanup(func()) {}
func (child) Fatal(args ...any) {
	panic(args)
}
func (child) Fatalf(format string, args ...any) {
	panic(args)
}

// startHolder runs holdUntilKilled in a process and returns when it has pinned.
func startHolder(t *testing.T, path string) *os.Process {
	t.Helper()
	process, pinned := beginHolder(t, path)
	pinned()
	return process
}

// beginHolder does not wait for it.
func beginHolder(t *testing.T, path string) (_ *os.Process, pinned func()) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), roleVariable+"="+path)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	t.Cleanup(func() { cmd.Wait() })
	return cmd.Process, func() {
		t.Helper()
		var word [7]byte
		if _, err := out.Read(word[:]); err != nil || string(word[:6]) != "pinned" {
			t.Fatalf("the holder said %q, %v", word, err)
		}
	}
}
