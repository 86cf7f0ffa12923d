package block

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/fault"
)

// PathOf is a path of an open device: its name, or where that is gone, its descriptor's.
func PathOf(device *os.File) string {
	var named, opened unix.Stat_t
	if unix.Stat(device.Name(), &named) == nil && unix.Fstat(int(device.Fd()), &opened) == nil && named.Rdev == opened.Rdev {
		return device.Name()
	}
	return fmt.Sprintf("/proc/self/fd/%d", device.Fd())
}

// openNode opens a device-mapper device by its number. Where /dev is no devtmpfs, as in a
// container, it makes a node of its own.
func openNode(number uint64, dir string, mode int) (_ *os.File, err error) {
	usual := fmt.Sprintf("/dev/dm-%d", unix.Minor(number))
	var stat unix.Stat_t
	if err := unix.Stat(usual, &stat); err == nil && stat.Rdev == number {
		return os.OpenFile(usual, mode, 0)
	}
	private, err := os.MkdirTemp(dir, "umemstress-node-*")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(private)) }()
	node := filepath.Join(private, "dm")
	if err := unix.Mknod(node, unix.S_IFBLK|0o600, int(number)); err != nil {
		return nil, fault.Lacksf("make a node for the device-mapper device: mknod %s: %w; it takes CAP_MKNOD, or a devtmpfs on /dev", node, err)
	}
	f, err := os.OpenFile(node, mode, 0)
	if err != nil {
		return nil, fault.Lacksf("open the device-mapper device: %w; choose a directory that allows devices with --scratch-dir", err)
	}
	return f, nil
}
