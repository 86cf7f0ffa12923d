package late

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/workload/child"
)

// serveAt names the directory at which a child of this test attaches what it serves. The server is to
// be in another process than who reads: else a test that fails could not even be killed.
const serveAt = "UMEMSTRESS_TEST_LATE"

func TestMain(m *testing.M) {
	if dir := os.Getenv(serveAt); dir != "" {
		os.Exit(serve(dir))
	}
	os.Exit(m.Run())
}

// serve is the child, which fails at the first line of its input, and closes at the end of it.
func serve(dir string) int {
	s, err := Serve()
	if err == nil {
		err = s.Attach(dir)
	}
	fmt.Println(err)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		s.fail()
		fmt.Println("failed")
	}
	if err = errors.Join(err, s.Close()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// server is the child.
type server struct {
	dir   string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	said  *bufio.Scanner
}

func served(t *testing.T, dir string) *server {
	t.Helper()
	s := &server{dir: dir, cmd: exec.Command("/proc/self/exe")}
	s.cmd.Env = append(os.Environ(), serveAt+"="+dir)
	s.cmd.Stderr = os.Stderr
	out, err := s.cmd.StdoutPipe()
	must(t, err)
	s.said = bufio.NewScanner(out)
	s.stdin, err = s.cmd.StdinPipe()
	must(t, err)
	wait, err := child.StartBound(s.cmd)
	must(t, err)
	t.Cleanup(func() {
		s.stdin.Close()
		if err := wait(); err != nil && s.cmd.ProcessState.Exited() {
			t.Error(err)
		}
		gone(t, dir)
	})
	switch said := s.line(t); {
	case strings.Contains(said, "it takes root"):
		t.Skip(said + ": make unit runs this where it may mount")
	case said != "<nil>":
		t.Fatal(said)
	}
	return s
}

func (s *server) line(t *testing.T) string {
	t.Helper()
	if !s.said.Scan() {
		t.Fatalf("the server has ended: %v", s.said.Err())
	}
	return s.said.Text()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// opened is a file of the directory.
func opened(t *testing.T, s *server, name string, flags int) *os.File {
	t.Helper()
	fd, err := unix.Open(filepath.Join(s.dir, name), flags|unix.O_CLOEXEC, 0)
	must(t, err)
	f := os.NewFile(uintptr(fd), name)
	t.Cleanup(func() { f.Close() })
	return f
}

// logged waits until the log has so many lines.
func logged(t *testing.T, control *os.File, lines int) []string {
	t.Helper()
	for range 1000 {
		var buf [4096]byte
		n, _ := control.ReadAt(buf[:], 0)
		if got := strings.Fields(strings.ReplaceAll(string(buf[:n]), " ", "+")); len(got) >= lines {
			return got
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("the log has not come to %d lines", lines)
	return nil
}

type answer struct {
	got []byte
	err error
}

// reading is a read under way.
func reading(f *os.File, at int64, length int) <-chan answer {
	answered := make(chan answer, 1)
	go func() {
		got := make([]byte, length)
		n, err := unix.Pread(int(f.Fd()), got, at)
		answered <- answer{got[:max(n, 0)], err}
	}()
	return answered
}

// Reads wait, are told of, and bring what was ordered, in however many pieces that came.
func TestReadsWait(t *testing.T) {
	s := served(t, t.TempDir())
	control := opened(t, s, Control, unix.O_RDWR)
	number := logged(t, control, 1)[0]
	reads := opened(t, s, Reads+number, unix.O_RDONLY)
	first, second := reading(reads, 0, 8192), reading(reads, 1<<20, 5)
	got := logged(t, control, 3)
	if want := "0+8192"; got[1] != want && got[2] != want {
		t.Errorf("the log says %q", got)
	}
	select {
	case a := <-first:
		t.Fatalf("a read was answered before it was let go: %v", a.err)
	case <-time.After(20 * time.Millisecond):
	}
	order := "4\numem"
	for i := range order {
		_, err := control.WriteAt([]byte(order[i:i+1]), int64(i))
		must(t, err)
	}
	if a := <-first; a.err != nil || !bytes.Equal(a.got, bytes.Repeat([]byte("umem"), 2048)) {
		t.Errorf("%v, %q", a.err, a.got)
	}
	if a := <-second; a.err != nil || string(a.got) != "umemu" {
		t.Errorf("%v, %q", a.err, a.got)
	}
	if _, err := control.WriteAt([]byte("more"), int64(len(order))); !errors.Is(err, unix.EINVAL) {
		t.Errorf("more than was ordered: %v", err)
	}
}

// A session that ends fails its reads and no other's, and its file is there no more.
func TestSessionEnds(t *testing.T) {
	s := served(t, t.TempDir())
	control, other := opened(t, s, Control, unix.O_RDWR), opened(t, s, Control, unix.O_RDWR)
	number, otherNumber := logged(t, control, 1)[0], logged(t, other, 1)[0]
	if number == otherNumber {
		t.Fatalf("two sessions are number %s", number)
	}
	of, ofOther := opened(t, s, Reads+number, unix.O_RDONLY), opened(t, s, Reads+otherNumber, unix.O_RDONLY)
	waits, otherWaits := reading(of, 0, 4096), reading(ofOther, 0, 4096)
	logged(t, control, 2)
	logged(t, other, 2)
	must(t, control.Close())
	if a := <-waits; !errors.Is(a.err, unix.EIO) {
		t.Errorf("a read of a session that is over: %v", a.err)
	}
	select {
	case a := <-otherWaits:
		t.Errorf("a read of another session ended, too: %v", a.err)
	case <-time.After(20 * time.Millisecond):
	}
	if err := unix.Access(filepath.Join(s.dir, Reads+number), unix.F_OK); !errors.Is(err, unix.ENOENT) {
		t.Errorf("the file of reads that are over: %v", err)
	}
	_, err := fmt.Fprintln(s.stdin)
	must(t, err)
	s.line(t)
	if a := <-otherWaits; !errors.Is(a.err, unix.EIO) {
		t.Errorf("a read of a server that has failed: %v", a.err)
	}
	if _, err := unix.Open(filepath.Join(s.dir, Control), unix.O_RDWR, 0); !errors.Is(err, unix.EBUSY) {
		t.Errorf("a session of a server that has failed: %v", err)
	}
}

// What is no order is refused: nothing of a guest's is believed.
func TestOrders(t *testing.T) {
	s := served(t, t.TempDir())
	for _, order := range []string{"x\n", "0\n", "-4\numem", "4\numemu", "33554433\n", strings.Repeat("1", 21)} {
		control := opened(t, s, Control, unix.O_RDWR)
		if _, err := control.WriteAt([]byte(order), 0); !errors.Is(err, unix.EINVAL) {
			t.Errorf("%q: %v", order, err)
		}
		if _, err := control.WriteAt([]byte("4\n"), 3); !errors.Is(err, unix.EINVAL) {
			t.Errorf("an order from its third byte on: %v", err)
		}
	}
}

// There are no more sessions than the server has memory for, and one that ends makes room.
func TestSessions(t *testing.T) {
	s := served(t, t.TempDir())
	controls := []*os.File{}
	for range maxSessions {
		controls = append(controls, opened(t, s, Control, unix.O_RDWR))
	}
	if _, err := unix.Open(filepath.Join(s.dir, Control), unix.O_RDWR, 0); !errors.Is(err, unix.EBUSY) {
		t.Errorf("one session more: %v", err)
	}
	must(t, controls[0].Close())
	for range 1000 { // it is told after the close
		fd, err := unix.Open(filepath.Join(s.dir, Control), unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err == nil {
			must(t, unix.Close(fd))
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Error("a session that has ended leaves no room")
}

// The mount goes with the process that is killed while reads wait, whatever its directory is called.
func TestKilled(t *testing.T) {
	dir := filepath.Join(t.TempDir(), `of "late" reads\ and #more`)
	must(t, os.Mkdir(dir, 0o700))
	s := served(t, dir)
	control := opened(t, s, Control, unix.O_RDWR)
	reads := opened(t, s, Reads+logged(t, control, 1)[0], unix.O_RDONLY)
	waits := reading(reads, 0, 4096)
	logged(t, control, 2)
	must(t, s.cmd.Process.Kill())
	if a := <-waits; a.err == nil {
		t.Errorf("a read of a server that is gone brought %d bytes", len(a.got))
	}
	_, _ = reads.Close(), control.Close()
	gone(t, dir)
}

// It is attached where nothing is hidden by it.
func TestAttachedToNothing(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	for _, dir := range []string{dir, filepath.Join(dir, "file"), filepath.Join(dir, "missing")} {
		err := new(Server).Attach(dir)
		var usage interface{ Usage() bool }
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v", dir, err)
		}
	}
}

// gone waits until nothing is mounted at the directory.
func gone(t *testing.T, dir string) {
	t.Helper()
	for range 1000 {
		var st, above unix.Stat_t
		must(t, unix.Stat(filepath.Dir(dir), &above))
		if err := unix.Stat(dir, &st); err == nil && st.Dev == above.Dev {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("something is mounted at %s", dir)
}
