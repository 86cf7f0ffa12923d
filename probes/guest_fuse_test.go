//go:build guest

package probes

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"umemstress/probes/event"
)

// What FUSE is served by is a process of its own: roleFUSE, and whether reads complete in it, and where.
const (
	roleFUSE   = "fuse "
	asyncReads = "async "
	syncReads  = "sync "
)

const fuseNode = fuse.FUSE_ROOT_ID + 1

// fuseFile is a directory of one file, whose reads wait for a line of standard input.
type fuseFile struct {
	fuse.RawFileSystem
	flags uint32
	mu    sync.Mutex
	lines *bufio.Reader
}

func (f *fuseFile) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	out.Ino, out.Mode, out.Nlink = in.NodeId, fuse.S_IFDIR|0o500, 2
	if in.NodeId == fuseNode {
		out.Mode, out.Nlink, out.Size = fuse.S_IFREG|0o400, 1, 16<<20
	}
	return fuse.OK
}

func (f *fuseFile) Lookup(_ <-chan struct{}, _ *fuse.InHeader, _ string, out *fuse.EntryOut) fuse.Status {
	out.NodeId = fuseNode
	var attributes fuse.AttrOut
	f.GetAttr(nil, &fuse.GetAttrIn{InHeader: fuse.InHeader{NodeId: fuseNode}}, &attributes)
	out.Attr = attributes.Attr
	return fuse.OK
}

func (f *fuseFile) Open(_ <-chan struct{}, _ *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	out.OpenFlags = f.flags
	return fuse.OK
}

func (f *fuseFile) Read(_ <-chan struct{}, in *fuse.ReadIn, into []byte) (fuse.ReadResult, fuse.Status) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fmt.Println("read")
	if _, err := f.lines.ReadString('\n'); err != nil {
		return nil, fuse.EIO
	}
	return fuse.ReadResultData(into[:in.Size]), fuse.OK
}

// serveFUSE is the process.
func serveFUSE(how string) {
	f := &fuseFile{RawFileSystem: fuse.NewDefaultRawFileSystem(), lines: bufio.NewReader(os.Stdin)}
	o := fuse.MountOptions{DirectMountStrict: true, MaxWrite: 1 << 20, Name: "test"}
	dir, async := strings.CutPrefix(how, asyncReads)
	if async {
		o.ExtraCapabilities = fuse.CAP_ASYNC_DIO
	} else {
		dir = strings.TrimPrefix(how, syncReads)
		f.flags = fuse.FOPEN_DIRECT_IO
	}
	server, err := fuse.NewServer(f, dir, &o)
	if err != nil {
		panic(err)
	}
	go server.Serve()
	fmt.Println("mounted")
	select {}
}

// fuseMount is such a mount.
type fuseMount struct {
	file   *os.File
	server *os.Process
	said   *bufio.Reader
	stdin  io.Writer
}

func mountFUSE(t *testing.T, how string) *fuseMount {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), roleVariable+"="+roleFUSE+how+dir)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	check(t, err)
	stdin, err := cmd.StdinPipe()
	check(t, err)
	check(t, cmd.Start())
	m := &fuseMount{server: cmd.Process, said: bufio.NewReader(out), stdin: stdin}
	t.Cleanup(func() {
		check(t, cmd.Process.Kill())
		_ = cmd.Wait() // "signal: killed"
		if m.file != nil {
			_ = m.file.Close() // which the server would have to be asked for
		}
		check(t, unix.Unmount(dir, unix.MNT_DETACH))
	})
	m.says(t, "mounted")
	m.file, err = os.OpenFile(filepath.Join(dir, "file"), os.O_RDONLY|unix.O_DIRECT, 0)
	check(t, err)
	return m
}

func (m *fuseMount) says(t *testing.T, want string) {
	t.Helper()
	if line, err := m.said.ReadString('\n'); line != want+"\n" {
		t.Fatalf("the server said %q, %v", line, err)
	}
}

// readHeld reads into memory by so many requests, and does something while it waits for each.
func (m *fuseMount) readHeld(t *testing.T, mem []byte, requests int, meanwhile func()) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		n, err := unix.Pread(int(m.file.Fd()), mem, 0)
		if err == nil && n != len(mem) {
			err = fmt.Errorf("%d of %d bytes", n, len(mem))
		}
		done <- err
	}()
	for range requests {
		m.says(t, "read")
		meanwhile()
		_, err := fmt.Fprintln(m.stdin)
		check(t, err)
	}
	check(t, <-done)
}

// A read that waits in the kernel is completed by who reads, and one that does not by the server, which
// is not taken for the owner.
func TestFUSERead(t *testing.T) {
	for _, how := range []string{syncReads, asyncReads} {
		t.Run(strings.TrimSpace(how), func(t *testing.T) {
			const n = 64
			m := mountFUSE(t, how)
			p := mapFile(t, filepath.Join(t.TempDir(), "region"), n)
			w := attach(t, Options{Holders: []string{event.HolderFUSE}})
			check(t, w.ReadSymbols())
			w.read(t)
			m.readHeld(t, p.mem, 1, func() {
				p.cleanAndStrip(t)
				if got := w.counted(t, p.inode); got.UnannouncedPages != 0 {
					t.Errorf("counted %+v before the read was complete", got)
				}
			})
			want := event.Count{Inode: p.inode, Filesystem: "ext4", DirtiedPages: n, UnannouncedPages: n, DirtiedFolios: n}
			if *expect != "refused" { // before 6.9 FUSE takes plain references, which reclaim does not look at
				want.BufferlessPages, want.BufferlessFolios = n, n
			}
			w.waitFor(t, want) // the server may be at the end of its release when who reads goes on
			actor := os.Getpid()
			if how == asyncReads {
				actor = m.server.Pid
			}
			events := w.delivered(t)
			if len(events) == 0 {
				t.Error("no event")
			}
			for _, e := range events {
				check(t, w.Symbolise(&e))
				if e.Holder != event.HolderFUSE || e.Inode != p.inode || !e.Unannounced || e.PID != uint32(actor) || e.Owner.PID != uint32(os.Getpid()) {
					t.Errorf("event %+v, want one of process %d for %d", e, actor, os.Getpid())
				}
				if !slices.ContainsFunc(e.Stack, func(f string) bool { return strings.Contains(f, "fuse_") }) {
					t.Errorf("the stack has no release: %q", e.Stack)
				}
			}
			w.wantLost(t, event.Lost{})
		})
	}
}

// Of what the read itself has faulted in, the file system has been told; of each request's pages anew.
func TestFUSEReadAnnounced(t *testing.T) {
	m := mountFUSE(t, syncReads)
	p := mapFile(t, filepath.Join(t.TempDir(), "region"), 512)
	check(t, unix.Msync(p.mem, unix.MS_SYNC)) // write-protects them
	w := attach(t, Options{Holders: []string{event.HolderFUSE}})
	m.readHeld(t, p.mem, 2, func() {})
	if got := w.counted(t, p.inode); got.UnannouncedPages != 0 || got.BufferlessPages != 0 {
		t.Errorf("counted %+v", got)
	}
	w.wantLost(t, event.Lost{})
}
