package memory

import (
	"errors"
	"strings"
	"testing"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// The program's code is locked, and nothing afterwards.
func TestLockText(t *testing.T) {
	before := locked(t)
	unlock, err := LockText()
	if err != nil {
		t.Fatal(err)
	}
	const least = 1 << 20 // a Go program's code
	if got := locked(t); got < before+least {
		t.Errorf("%d bytes are locked, %d before", got, before)
	}
	if err := unlock(); err != nil {
		t.Error(err)
	}
	if got := locked(t); got != before {
		t.Errorf("%d bytes stay locked, %d before", got, before)
	}
}

// What was locked before a mapping that cannot be is unlocked again.
func TestLockAllOrNone(t *testing.T) {
	text := []*procfs.ProcMap{{Pathname: "a"}, {Pathname: "b"}, {Pathname: "c"}, {Pathname: "d"}}
	answers := map[string]error{"b": unix.ENOMEM, "c": unix.EINVAL}
	var calls []string
	_, err := lockAll(text, func(call uintptr, m *procfs.ProcMap) error {
		if call == unix.SYS_MUNLOCK {
			calls = append(calls, "-"+m.Pathname)
			return nil
		}
		calls = append(calls, m.Pathname)
		return answers[m.Pathname]
	})
	if got := strings.Join(calls, " "); !errors.Is(err, unix.EINVAL) || got != "a b c -a -b" {
		t.Errorf("%v, %s", err, got)
	}
}

// locked is how many bytes of this process are locked.
func locked(t *testing.T) uint64 {
	t.Helper()
	self, err := procfs.Self()
	if err != nil {
		t.Fatal(err)
	}
	status, err := self.NewStatus()
	if err != nil {
		t.Fatal(err)
	}
	return status.VmLck
}
