package mortal

import (
	"errors"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What a call returns is handed over, also from a thread that ends with its call.
func TestReturns(t *testing.T) {
	for name, call := range map[string]func() error{
		"a call":              func() error { return os.ErrClosed },
		"a long call":         func() error { time.Sleep(3 * lookInterval); return os.ErrClosed },
		"the end of a thread": func() error { runtime.LockOSThread(); return os.ErrClosed },
	} {
		if err := <-Go("close", call); !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A thread that ends in a system call, as the kernel ends one in an oops, is noticed: exit(2) ends
// the thread alone.
func TestGone(t *testing.T) {
	began := time.Now()
	select {
	case err := <-Go("msync", endThread):
		var gone *GoneError
		if !errors.As(err, &gone) || gone.Doing != "msync" {
			t.Errorf("%v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nobody noticed within 10 s")
	}
	t.Logf("noticed after %s", time.Since(began))
}

func endThread() error {
	_, _, errno := unix.Syscall(unix.SYS_EXIT, 0, 0, 0)
	return errno
}

func TestGoneThread(t *testing.T) {
	runtime.LockOSThread() // the one that leads the process may have been that of TestGone
	defer runtime.UnlockOSThread()
	if gone(unix.Gettid()) {
		t.Error("this thread")
	}
	const none = 1 << 30 // more than there can be (PID_MAX_LIMIT)
	if !gone(none) {
		t.Error("a thread that never was")
	}
	for stat, want := range map[string]bool{
		"7 (x) S 1 7":  false,
		"7 (x) D 1 7":  false,
		"7 (x) Z 1 7":  true,
		"7 (x) X 1 7":  true,
		"7 (:) Z) S 1": false,
		"7 (:) S) Z 1": true,
		"7 (x":         false,
		"7 (x)":        false,
		"":             false,
	} {
		if got := ended([]byte(stat)); got != want {
			t.Errorf("%q: %v", stat, got)
		}
	}
}
