//go:build guest

package probes

import (
	"errors"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// A reader is real-time while it reads, and what it was before afterwards.
func TestUndisturbed(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	policy := func() uint32 {
		attr, err := unix.SchedGetAttr(0, 0)
		check(t, err)
		return attr.Policy
	}
	failed := errors.New("not there")
	err := undisturbed(func() error {
		if got := policy(); got != unix.SCHED_FIFO {
			t.Errorf("read with policy %d", got)
		}
		return failed
	})
	if !errors.Is(err, failed) {
		t.Errorf("the reader's error became %v", err)
	}
	if got := policy(); got != unix.SCHED_NORMAL {
		t.Errorf("policy %d afterwards", got)
	}
}
