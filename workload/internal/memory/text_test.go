package memory

import (
	"testing"

	"github.com/prometheus/procfs"
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
