package promise

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/workload/child"
	"umemstress/workload/internal/mortal"
)

func TestMain(m *testing.M) {
	child.RunIfChild(map[string]child.Main{Child: Main, silent: silentMain, dying: dyingMain})
	os.Exit(m.Run())
}

// Children that ask as in a kernel that does not answer, and in one that dies of the question.
const (
	silent = "silent"
	dying  = "dying"
)

func silentMain([]string, io.Reader, io.Writer) error {
	for {
		unix.Pause()
	}
}

// dyingMain has a thread end in a system call, and does not end itself, as where the kernel keeps it.
func dyingMain(_ []string, in io.Reader, out io.Writer) error {
	err := <-mortal.Go("fsync", func() error {
		_, _, errno := unix.Syscall(unix.SYS_EXIT, 0, 0, 0)
		return errno
	})
	if err := tell(out, Answers{}, err); err != nil {
		return err
	}
	return silentMain(nil, in, out)
}

func TestAsk(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(3 * 4096); err != nil {
		t.Fatal(err)
	}
	before := children(t)
	if a, err := Ask(t.Context(), f, 4096, 8192, "asker"); err != nil || a != (Answers{}) {
		t.Errorf("%+v, %v", a, err)
	}
	if a, err := Ask(t.Context(), f, 1, 0, "asker"); err != nil || a != (Answers{}) {
		t.Errorf("fsync alone: %+v, %v", a, err)
	}
	// The child has ended by then, and its descriptor of the file with it.
	if left := children(t); left != before {
		t.Errorf("children %q are left, before %q", left, before)
	}
	// What cannot be mapped is no answer.
	if _, err := Ask(t.Context(), f, 1, 4096, "asker"); err == nil || !strings.Contains(err.Error(), "invalid argument") {
		t.Errorf("from byte 1 on: %v", err)
	}
}

// children are those of this process.
func children(t *testing.T) (pids string) {
	t.Helper()
	paths, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil || len(paths) == 0 {
		t.Fatalf("%q, %v", paths, err)
	}
	for _, path := range paths {
		some, _ := os.ReadFile(path) // the thread may have ended
		pids += string(some)
	}
	return pids
}

// The context ends the wait for an answer that does not come.
func TestAskIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	asked := make(chan error, 1)
	go func() {
		_, err := ask(ctx, silent, os.Stdin, 0, 0, "asker")
		asked <- err
	}()
	select {
	case err := <-asked:
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it waits on, long after the end of its context")
	}
}

// A thread that ends in one of the calls is told of at once, by a child that does not end.
func TestAskOfTheDead(t *testing.T) {
	asked := make(chan error, 1)
	go func() {
		_, err := ask(t.Context(), dying, os.Stdin, 0, 0, "asker")
		asked <- err
	}()
	select {
	case err := <-asked:
		var gone *mortal.GoneError
		if !errors.As(err, &gone) || gone.Doing != "fsync" {
			t.Errorf("%v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it waits for the answer of a thread that is gone")
	}
}

// An error of a system call is an answer. fsync of a pipe is EINVAL (fs/sync.c).
func TestErrno(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if got, err := errno(unix.Fsync(int(w.Fd()))); got != unix.EINVAL || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := errno(os.ErrClosed); err == nil {
		t.Error("another error is an answer")
	}
}

// The kernel tells of a death by the name of the thread.
func TestThreadIsNamed(t *testing.T) {
	done := make(chan struct{})
	go func() { // its thread ends with it
		defer close(done)
		runtime.LockOSThread()
		if err := nameThread("asker"); err != nil {
			t.Error(err)
		}
		if name, err := os.ReadFile(threadComm); err != nil || string(name) != "asker\n" {
			t.Errorf("%q, %v", name, err)
		}
	}()
	<-done
}

func TestMainRefuses(t *testing.T) {
	for _, args := range [][]string{nil, {"0"}, {"0", "1"}, {"x", "1", "z"}, {"0", "y", "z"}} {
		var out bytes.Buffer
		if err := Main(args, nil, &out); err == nil || out.Len() > 0 {
			t.Errorf("%q: %v, %q", args, err, &out)
		}
	}
}
