package block

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/fault"
)

// AttachLoop makes a loop device over the open file backing and returns the
// device, open. LO_FLAGS_AUTOCLEAR detaches it when its last user is gone, a
// file system mounted on it included, so that nothing stays behind even if the
// process is killed; only before Linux 5.8 it does, between the two requests of
// configureLoop. Direct I/O keeps the scratch's pages from being cached
// twice (include/uapi/linux/loop.h).
func AttachLoop(ctx context.Context, backing *os.File) (*os.File, error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, fault.Lacksf("no loop device for the scratch file system: %w; load the module loop and run as root, or give --file PATH", err)
	}
	defer control.Close()
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, fault.Lacksf("no free loop device: LOOP_CTL_GET_FREE: %w", err)
		}
		loop, err := os.OpenFile(fmt.Sprintf("/dev/loop%d", n), os.O_RDWR, 0)
		if err != nil {
			return nil, fault.Lacksf("open the loop device: %w", err)
		}
		err = configureLoop(int(loop.Fd()), int(backing.Fd()))
		if err == nil {
			return loop, nil
		}
		loop.Close()
		if !errors.Is(err, unix.EBUSY) { // another process took this one between the two ioctls
			return nil, fmt.Errorf("set up %s: %w", loop.Name(), err)
		}
	}
}

// ForReading has the device open only for reading. A kernel that keeps devices from being written beside
// their file system (bdev_allow_write_mounted=0, Linux 6.8) does not mount one that is open for more.
func ForReading(device *os.File) (*os.File, error) {
	reading, err := os.Open(PathOf(device))
	if err != nil {
		return device, fmt.Errorf("open %s for reading: %w", device.Name(), err)
	}
	return reading, device.Close() // only now: it would go
}

func configureLoop(loop, backing int) error {
	config := unix.LoopConfig{Fd: uint32(backing)}
	config.Info.Flags = unix.LO_FLAGS_AUTOCLEAR | unix.LO_FLAGS_DIRECT_IO
	err := unix.IoctlLoopConfigure(loop, &config)
	if errors.Is(err, unix.EINVAL) { // a backing file system without direct I/O, on some kernels
		config.Info.Flags = unix.LO_FLAGS_AUTOCLEAR
		err = unix.IoctlLoopConfigure(loop, &config)
	}
	if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOTTY) {
		return err
	}
	// LOOP_CONFIGURE came with 5.8 (3448914e8cc5).
	if err := unix.IoctlSetInt(loop, unix.LOOP_SET_FD, backing); err != nil {
		return err
	}
	err = unix.IoctlLoopSetStatus64(loop, &unix.LoopInfo64{Flags: unix.LO_FLAGS_AUTOCLEAR})
	if err != nil { // it would not clear itself
		err = errors.Join(err, unix.IoctlSetInt(loop, unix.LOOP_CLR_FD, 0))
	}
	return err
}
