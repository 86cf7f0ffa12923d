package file

import (
	"errors"
	"fmt"
	"os"
	"strings"
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

// A directory whose file system has no nameless files is left as it was, also where the
// name cannot be taken away again.
func TestCreateUnlinked(t *testing.T) {
	dir := t.TempDir()
	f, err := createUnlinked(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if names, err := os.ReadDir(dir); err != nil || len(names) > 0 {
		t.Errorf("%v, %v", names, err)
	}
	if _, err := createUnlinked(dir + "/absent"); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Error(err)
	}
}
