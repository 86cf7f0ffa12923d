// Package mortal makes calls of which a thread may die in the kernel: a call that never returns,
// since its thread is gone while its process lives on, is noticed by that alone, whether or not
// anybody may read the kernel's log.
package mortal

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// GoneError says that the kernel ended the thread that made a call. A thread does not end in the
// middle of a system call otherwise: what kills a process kills all of its threads.
type GoneError struct {
	Doing string // the call
}

func (e *GoneError) Error() string {
	return fmt.Sprintf("the kernel ended the thread in %s: it is gone, and its process lives on; this machine has to be rebooted", e.Doing)
}

// lookInterval is how long a thread may be gone before that is noticed.
const lookInterval = 100 * time.Millisecond

// Go makes a call by a thread that is given to it alone, and hands over what it returns, or a
// GoneError once that thread is gone.
func Go(doing string, call func() error) <-chan error {
	returned, thread := make(chan error, 1), make(chan int, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		thread <- unix.Gettid()
		returned <- call()
	}()
	outcome := make(chan error, 1)
	go func() { outcome <- attend(doing, <-thread, returned) }()
	return outcome
}

// attend waits for a call to return, or for its thread to be gone.
func attend(doing string, thread int, returned <-chan error) error {
	ticker := time.NewTicker(lookInterval)
	defer ticker.Stop()
	for {
		select {
		case err := <-returned:
			return err
		case <-ticker.C:
		}
		if !gone(thread) {
			continue
		}
		select {
		case err := <-returned: // and its thread ended after that, as those may that Go locks
			return err
		default:
			return &GoneError{Doing: doing}
		}
	}
}

// gone says whether a thread of this process has ended.
func gone(thread int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/stat", thread))
	if err != nil { // ESRCH where it ended between the opening and the reading
		return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH)
	}
	return ended(stat)
}

// ended says whether a thread has of which there still is a line in /proc (proc(5)): the one that leads
// the process stays, as a zombie, for as long as the others live.
func ended(stat []byte) bool {
	name := bytes.LastIndexByte(stat, ')') // which may have any byte in it
	state := bytes.TrimSpace(stat[name+1:])
	return name >= 0 && len(state) > 0 && bytes.IndexByte([]byte("ZXx"), state[0]) >= 0
}
