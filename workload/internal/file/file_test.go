package file

import (
	"errors"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAgain(t *testing.T) {
	answers := []error{unix.EINTR, fmt.Errorf("wrapped: %w", unix.EINTR), unix.EIO}
	calls := 0
	if err := Again(func() error { calls++; return answers[calls-1] }); !errors.Is(err, unix.EIO) || calls != len(answers) {
		t.Errorf("%v after %d calls", err, calls)
	}
}

// Only who is told of too little space can do something about it.
func TestRoomAdvice(t *testing.T) {
	for err, want := range map[error]string{unix.ENOSPC: "; make room", unix.EDQUOT: "; make room", unix.EINTR: "", unix.EINVAL: ""} {
		if got := RoomAdvice(fmt.Errorf("reserve: %w", err), "make room"); got != want {
			t.Errorf("%v: %q", err, got)
		}
	}
}
