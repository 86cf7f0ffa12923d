package v4l2

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/fault"
)

// sysfs is where the kernel tells of its devices.
const sysfs = "/sys"

// node is a file of a device.
type node struct {
	path  string
	given bool // by the user
}

// wrongf makes an error of what is wrong with the node: the user's, if it is the user who named it.
func (n node) wrongf(format string, args ...any) error {
	wrong := fmt.Errorf(format, args...)
	if n.given {
		return fault.Usagef("--v4l2-dev %s: %w", n.path, wrong)
	}
	return fault.Lacksf("the holder v4l2 needs %s: %w", n.path, wrong)
}

// errBusy is of a device that somebody else captures from.
var errBusy = errors.New("somebody else captures from it")

// busyOr tells a device that is in use from one that cannot do what is asked.
func (n node) busyOr(err error, otherwise string) error {
	switch {
	case errors.Is(err, unix.EBUSY) && n.given:
		return fault.Lacksf("--v4l2-dev %s: %w; wait until that is over, or name another device", n.path, errBusy)
	case errors.Is(err, unix.EBUSY):
		return fault.Lacksf("the holder v4l2 needs %s: %w", n.path, errBusy)
	}
	return n.wrongf("%w%s", err, otherwise)
}

// device is a capture device whose queue of buffers is ours.
type device struct {
	node
	file    *os.File
	driver  string
	picture picture
	before  format // that it had
	changed bool   // it has another one now
	buffers uint32 // that its queue has
}

// openDevice opens the node, and sets the device up for so many bytes.
func openDevice(n node, target int64) (_ *device, err error) {
	if err := n.check(sysfs); err != nil {
		return nil, err
	}
	d := &device{node: n}
	if d.file, err = n.open(); err != nil {
		return nil, n.busyOr(err, "; name a device that this user may read and write")
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	if err := d.checkAbilities(); err != nil {
		return nil, err
	}
	return d, d.setUp(target)
}

// check refuses what is no device of V4L2, before it is opened: to open some devices has effects.
func (n node) check(sysfs string) error {
	info, err := os.Stat(n.path)
	if err != nil {
		return n.wrongf("%w; name a capture device, such as /dev/video0; in a container, pass the node in", err)
	}
	const other = "; name a capture device, such as /dev/video0"
	if info.Mode()&os.ModeCharDevice == 0 {
		return n.wrongf("it is no character device" + other)
	}
	var stat unix.Stat_t
	if err := unix.Stat(n.path, &stat); err != nil {
		return n.wrongf("%w", err)
	}
	number := fmt.Sprintf("%d:%d", unix.Major(stat.Rdev), unix.Minor(stat.Rdev))
	if subsystem, _ := os.Readlink(filepath.Join(sysfs, "dev/char", number, "subsystem")); filepath.Base(subsystem) != "video4linux" {
		return n.wrongf("it is no device of V4L2" + other)
	}
	return nil
}

// open opens the node. Go's own way to open it would have the runtime poll it, and a queue that is
// polled before it has buffers begins to capture for read(2) (vb2_core_poll), and is busy with that.
func (n node) open() (*os.File, error) {
	fd, err := unix.Open(n.path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), n.path)
	return file, unix.SetNonblock(fd, true)
}

// checkAbilities refuses a device that cannot capture, or not in a way that is made use of here.
func (d *device) checkAbilities() error {
	var c capability
	if err := call(d.file, ioctlQueryCap, &c); err != nil {
		return d.wrongf("VIDIOC_QUERYCAP: %w", err)
	}
	d.driver = unix.ByteSliceToString(c.Driver[:])
	can := c.Capabilities
	if can&capDeviceCaps != 0 {
		can = c.DeviceCaps // of this node alone
	}
	switch {
	case can&capVideoCapture == 0 && can&capVideoCaptureMPl != 0:
		return d.wrongf("it captures by the multi-planar API alone, which is not made use of; name another device")
	case can&capVideoCapture == 0:
		return d.wrongf("it captures no pictures; name a capture device")
	case can&capStreaming == 0:
		return d.wrongf("it has no streaming, and so no buffers that could be pinned; name another device")
	}
	return nil
}

// present is an error if the device is gone.
func (d *device) present() error {
	var c capability
	return call(d.file, ioctlQueryCap, &c)
}

func (d *device) name() string { return filepath.Base(d.path) }

// wholeBytes are those of a picture that fill pages.
func (d *device) wholeBytes() int { return int(wholeBytes(d.picture)) }

// bufferBytes is how long a buffer is, in whole pages.
func (d *device) bufferBytes() int {
	page := os.Getpagesize()
	return (int(d.picture.SizeImage) + page - 1) &^ (page - 1)
}

// queue gives the device a buffer. The kernel pins its pages, or has the same ones pinned since
// the last time.
func (d *device) queue(index uint32, address uintptr) error {
	b := buffer{Index: index, Type: bufTypeVideoCapture, Memory: memoryUserPointer, Address: uint64(address), Length: uint32(d.bufferBytes())}
	if err := call(d.file, ioctlQueueBuffer, &b); err != nil {
		return fmt.Errorf("VIDIOC_QBUF of %d bytes: %w", b.Length, err)
	}
	return nil
}

// pictureBound is how long a picture may take.
const pictureBound = 20 * time.Second

// dequeue waits for a buffer that has a picture.
func (d *device) dequeue(ctx context.Context) (buffer, error) {
	for deadline := time.Now().Add(pictureBound); ; {
		b := buffer{Type: bufTypeVideoCapture, Memory: memoryUserPointer}
		err := call(d.file, ioctlDequeueBuffer, &b)
		switch {
		case err == nil:
			return b, nil
		case !errors.Is(err, unix.EAGAIN):
			return b, fmt.Errorf("%s: VIDIOC_DQBUF: %w", d.path, err)
		case ctx.Err() != nil:
			return b, ctx.Err()
		case time.Now().After(deadline):
			return b, fault.Lacksf("%s has made no picture for %v; see that it has a signal", d.path, pictureBound)
		}
		const soon = 100 // ms
		if _, err := unix.Poll([]unix.PollFd{{Fd: int32(d.file.Fd()), Events: unix.POLLIN}}, soon); err != nil && !errors.Is(err, unix.EINTR) {
			return b, fmt.Errorf("poll of %s: %w", d.path, err)
		}
	}
}

// start has the device make pictures.
func (d *device) start() error {
	kind := int32(bufTypeVideoCapture)
	if err := call(d.file, ioctlStreamOn, &kind); err != nil {
		return fmt.Errorf("%s: VIDIOC_STREAMON: %w", d.path, err)
	}
	return nil
}

// stop ends that. The buffers stay where they are.
func (d *device) stop() error {
	kind := int32(bufTypeVideoCapture)
	if err := call(d.file, ioctlStreamOff, &kind); err != nil {
		return fmt.Errorf("%s: VIDIOC_STREAMOFF: %w", d.path, err)
	}
	return nil
}

// release has the queue let go of all buffers.
func (d *device) release() error {
	if d.buffers == 0 {
		return nil
	}
	if err := call(d.file, ioctlRequestBuffers, &requestBuffers{Type: bufTypeVideoCapture, Memory: memoryUserPointer}); err != nil {
		return fmt.Errorf("%s: VIDIOC_REQBUFS of none: %w", d.path, err)
	}
	d.buffers = 0
	return nil
}

// Close gives the device back, with the format that it had. One that is gone has neither.
func (d *device) Close() error {
	if d == nil || d.file == nil {
		return nil
	}
	err := d.release()
	if err == nil && d.changed {
		err = call(d.file, ioctlSetFormat, &d.before)
	}
	if errors.Is(err, unix.ENODEV) {
		err = nil
	}
	err = errors.Join(err, d.file.Close())
	d.file = nil
	return err
}
