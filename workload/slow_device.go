package workload

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// slowDevice is a block device whose reads take long.
type slowDevice interface {
	direct() *os.File // open for direct reads
	describe() Device
	// inFlight says whether all reads wait in the device. The threads are those that read.
	inFlight(threads []int) (bool, error)
	// span is how many bytes are read from it, over and over for a larger target.
	span() int64
	// supply makes the device hold the bytes, over and over, and ends the reads' wait.
	supply(source []byte) error
	// hurry ends the wait of the reads, as far as it can be ended.
	hurry() error
	Close() error
}

// ownSlowDevice is made for a run: a nameless file, a loop device, and a
// device-mapper delay over it.
type ownSlowDevice struct {
	backing *os.File
	delay   *delayDevice
	size    int64 // bytes
}

func newSlowDevice(ctx context.Context, dir string, size int64, delay time.Duration) (_ *ownSlowDevice, err error) {
	s := &ownSlowDevice{size: size}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.backing, err = namelessFile(dir, size); err != nil {
		return nil, err
	}
	loop, err := attachLoop(s.backing)
	if err != nil {
		return nil, err
	}
	s.delay, err = makeDelay(ctx, loop, size, delay, dir)
	return s, errors.Join(err, loop.Close()) // the device above keeps it
}

func (s *ownSlowDevice) direct() *os.File { return s.delay.node }
func (s *ownSlowDevice) span() int64      { return s.size }

func (s *ownSlowDevice) describe() Device {
	return Device{Name: fmt.Sprintf("dm-%d", unix.Minor(s.delay.number)), Driver: "dm-delay", Backend: "O_DIRECT read"}
}

// inFlight asks the device: a read that it delays has pinned its pages before it
// was submitted (block/fops.c, __blkdev_direct_IO_simple).
func (s *ownSlowDevice) inFlight(threads []int) (bool, error) {
	delayed, err := s.delay.delayed()
	return delayed >= len(threads), err
}

// supply writes to the file below the delay. That is not too late while reads
// wait: the delay comes before the file is read.
func (s *ownSlowDevice) supply(source []byte) error {
	for at := int64(0); at < s.size; at += int64(len(source)) {
		part := source[:min(int64(len(source)), s.size-at)]
		if _, err := s.backing.WriteAt(part, at); err != nil {
			return fmt.Errorf("put %d bytes at %d into the scratch file below the dm-delay device: %w", len(part), at, err)
		}
	}
	return s.hurry()
}

func (s *ownSlowDevice) hurry() error { return s.delay.flush() }

func (s *ownSlowDevice) Close() error {
	var errs []error
	if s.delay != nil {
		errs = append(errs, s.delay.Close())
	}
	if s.backing != nil {
		errs = append(errs, s.backing.Close())
	}
	s.delay, s.backing = nil, nil
	return errors.Join(errs...)
}

// givenDevice is a block device of the user's, which is only read.
type givenDevice struct {
	file *os.File
	size int64 // bytes of it that are used
}

// openGiven opens the device, or a loop device over the file, and reads its first
// bytes, size of them.
func openGiven(path string, size int64) (_ *givenDevice, _ *region, err error) {
	file, err := openSource(path)
	if err != nil {
		return nil, nil, err
	}
	g := &givenDevice{file, size}
	var content *region
	defer func() {
		if err != nil {
			err = errors.Join(err, content.Close(), g.Close())
		}
	}()
	if err = g.checkSize(path); err != nil {
		return nil, nil, err
	}
	if content, err = mapAnonymous(int(size)); err != nil {
		return nil, nil, err
	}
	// One call, so that a slow device takes its time once.
	if _, err = file.ReadAt(content.mem, 0); err != nil {
		return nil, nil, fmt.Errorf("--dio-source %s: read what it holds: %w", path, err)
	}
	return g, content, nil
}

// openSource opens a block device for direct reads. Over a file it makes a
// read-only loop device: a direct read from a file system dirties pages that it
// finds clean from a work item, after the read has returned (block/bio.c,
// bio_check_pages_dirty), and nobody could say when the pages were released.
func openSource(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, usagef("--dio-source %s: %w; name a block device or a file", path, err)
	}
	switch {
	case info.Mode()&os.ModeDevice != 0 && info.Mode()&os.ModeCharDevice == 0:
	case info.Mode().IsRegular():
		return openLoopOver(path)
	default:
		return nil, usagef("--dio-source %s: it is neither a block device nor a file", path)
	}
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECT, 0)
	if err != nil {
		return nil, usagef("--dio-source %s: %w; name a device that this user may read", path, err)
	}
	return file, nil
}

func openLoopOver(path string) (*os.File, error) {
	backing, err := os.Open(path)
	if err != nil {
		return nil, usagef("--dio-source %s: %w; name a file that this user may read", path, err)
	}
	defer backing.Close()
	loop, err := attachLoop(backing)
	if err != nil {
		return nil, fmt.Errorf("--dio-source %s: %w", path, err)
	}
	defer loop.Close() // what is opened below keeps the device
	return os.OpenFile(loop.Name(), os.O_RDONLY|unix.O_DIRECT, 0)
}

// checkSize refuses a source that is shorter than the reads.
func (g *givenDevice) checkSize(path string) error {
	has, err := g.file.Seek(0, 2)
	if err != nil {
		return fmt.Errorf("--dio-source %s: its size: %w", path, err)
	}
	if has < g.size {
		return usagef("--dio-source %s: it has %d bytes and the reads take %d; give --anon-size %d or a larger device", path, has, g.size, has&^int64(os.Getpagesize()-1))
	}
	return nil
}

func (g *givenDevice) direct() *os.File { return g.file }
func (g *givenDevice) span() int64      { return g.size }

func (g *givenDevice) describe() Device {
	name := filepath.Base(g.file.Name())
	driver, err := os.Readlink("/sys/class/block/" + name + "/device/driver")
	if err != nil {
		driver = "block" // a virtual device has no driver to name
	}
	return Device{Name: name, Driver: filepath.Base(driver), Backend: "O_DIRECT read"}
}

// inFlight is true when every reader sleeps uninterruptibly in pread: its pages
// are mapped and writable, so it waits for the device and for nothing before it.
// Somebody else may use the device, so that its own counts tell nothing.
func (g *givenDevice) inFlight(threads []int) (bool, error) {
	for _, thread := range threads {
		if blocked, err := sleepsIn(thread, unix.SYS_PREAD64); err != nil || !blocked {
			return false, err
		}
	}
	return true, nil
}

func (g *givenDevice) supply([]byte) error { return nil }
func (g *givenDevice) hurry() error        { return nil }
func (g *givenDevice) Close() error        { return g.file.Close() }
