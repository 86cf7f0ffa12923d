// Package mount mounts file systems where no mount table shows them, and finds the mount
// that a file is on.
package mount

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/moby/sys/mountinfo"
	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"umemstress/workload/internal/fault"
)

// Detached mounts a device, or what stands for it, with options (an empty one is a flag), without
// attaching the mount anywhere and returns its root directory, open. The mount lives as long as
// the descriptor or a file opened through it (fsmount(2), Linux 5.2).
func Detached(fstype, source string, options map[string]string) (*os.File, error) {
	fs, err := unix.Fsopen(fstype, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, fault.Lacksf("fsopen %s: %w; to mount without attaching takes root, Linux 5.2 or newer and the module %s", fstype, err, fstype)
	}
	defer unix.Close(fs)
	if err := unix.FsconfigSetString(fs, "source", source); err != nil {
		return nil, fmt.Errorf("mount %s as %s: source: %w", source, fstype, err)
	}
	for key, value := range options {
		if err := set(fs, key, value); err != nil {
			return nil, fmt.Errorf("mount %s as %s: %s=%s: %w", source, fstype, key, value, err)
		}
	}
	if err := unix.FsconfigCreate(fs); errors.Is(err, unix.EPERM) {
		return nil, fault.Lacksf("mount %s as %s: %w; it takes root, and a root of this user namespace alone (unshare, a rootless container) may not mount it", source, fstype, err)
	} else if err != nil {
		return nil, fmt.Errorf("mount %s as %s: %w; the kernel's log says why", source, fstype, err)
	}
	mount, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOSUID)
	if err != nil {
		return nil, fmt.Errorf("mount %s as %s: fsmount: %w", source, fstype, err)
	}
	return os.NewFile(uintptr(mount), source), nil
}

func set(fs int, key, value string) error {
	if value == "" {
		return unix.FsconfigSetFlag(fs, key)
	}
	return unix.FsconfigSetString(fs, key, value)
}

// Of finds the mount that an open directory is on by its number, since stat(2)
// gives the device of a subvolume on btrfs, which the mount table does not have.
func Of(dir *os.File) (*mountinfo.Info, error) {
	self, err := procfs.Self()
	if err != nil {
		return nil, err
	}
	opened, err := self.FDInfo(strconv.Itoa(int(dir.Fd())))
	if err != nil {
		return nil, err
	}
	mounts, err := mountinfo.GetMounts(func(m *mountinfo.Info) (skip, stop bool) {
		found := strconv.Itoa(m.ID) == opened.MntID
		return !found, found
	})
	if err != nil {
		return nil, fmt.Errorf("read the mount table: %w", err)
	}
	if len(mounts) == 0 {
		return nil, fmt.Errorf("its mount, number %s, is not in the mount table", opened.MntID)
	}
	return mounts[0], nil
}
