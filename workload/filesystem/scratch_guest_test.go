//go:build guest

package filesystem

import (
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/workload/scenario"
)

// Nobody has the device below a mounted scratch open for writing, so that kernels mount it that
// keep devices from being written beside their file system (bdev_allow_write_mounted=0, Linux 6.8).
func TestScratchMountedAlone(t *testing.T) {
	for _, kind := range Kinds() {
		if kind.Backing != scenario.OnDisk {
			continue
		}
		scratch, err := NewScratch(t.TempDir(), kind, onDiskBytes)
		if err != nil {
			t.Fatal(err)
		}
		if err := scratch.Make(t.Context()); err != nil {
			t.Fatal(err)
		}
		flags, err := unix.FcntlInt(scratch.loop.Fd(), unix.F_GETFL, 0)
		if err != nil || flags&unix.O_ACCMODE != unix.O_RDONLY {
			t.Errorf("%s: its device is open with flags %#x, %v", kind.Name, flags, err)
		}
		if err := scratch.Close(); err != nil {
			t.Error(err)
		}
	}
}
