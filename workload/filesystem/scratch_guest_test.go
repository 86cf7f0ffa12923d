//go:build guest

package filesystem

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/file"
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

// What is written to a file is on the disk as it was written, unless somebody encrypts it.
func TestScratchEncrypts(t *testing.T) {
	for name, plain := range map[string]bool{"ext4": true, "ext4-dm-crypt": false, "ext4-encrypted": false} {
		t.Run(name, func(t *testing.T) {
			kind, _ := scenario.Find(Kinds(), name)
			scratch, err := NewScratch(t.TempDir(), kind, onDiskBytes)
			if err != nil {
				t.Fatal(err)
			}
			defer scratch.Close()
			if err := scratch.Make(t.Context()); err != nil {
				t.Fatal(err)
			}
			region, err := scratch.Create()
			if err != nil {
				t.Fatal(err)
			}
			defer region.Close()
			if err := region.Reserve(onDiskBytes); err != nil {
				t.Fatal(err)
			}
			text := bytes.Repeat([]byte("umemstress "), onDiskBytes/11)
			if _, err := region.Handle.WriteAt(text, 0); err != nil {
				t.Fatal(err)
			}
			if err := file.Sync(region.Handle); err != nil {
				t.Fatal(err)
			}
			disk := make([]byte, scratch.space())
			if _, err := scratch.backing.ReadAt(disk, 0); err != nil {
				t.Fatal(err)
			}
			if found := bytes.Contains(disk, text[:1000]); found != plain {
				t.Errorf("the text is on the disk: %v", found)
			}
			if err := region.Evict(onDiskBytes); err != nil {
				t.Fatal(err)
			}
			back := make([]byte, len(text))
			if _, err := region.Handle.ReadAt(back, 0); err != nil || !bytes.Equal(back, text) {
				t.Errorf("the text does not come back: %v", err)
			}
		})
	}
}
