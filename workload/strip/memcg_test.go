package strip

import (
	"context"
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A system call that would take a minute ends soon after its context; one that is done
// first is left alone.
func TestInterruptible(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	start := time.Now()
	err := interruptible(ctx, func() error {
		_, err := unix.Poll(nil, 60_000)
		return err
	})
	if took := time.Since(start); !errors.Is(err, unix.EINTR) || took > 10*time.Second {
		t.Errorf("%v after %v", err, took)
	}
	if err := interruptible(t.Context(), func() error { return unix.EAGAIN }); !errors.Is(err, unix.EAGAIN) {
		t.Error(err)
	}
}
