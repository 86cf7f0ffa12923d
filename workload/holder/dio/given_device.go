package dio

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"umemstress/workload/holder"
	"umemstress/workload/internal/block"
	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/memory"
	"umemstress/workload/record"
)

// givenDevice is a block device of the user's, which is only read.
type givenDevice struct {
	file *os.File
	size int64 // bytes of it that are used
}

// openGiven opens the device, or a loop device over the file, and reads its first
// bytes, size of them.
func openGiven(ctx context.Context, path string, size int64) (_ *givenDevice, _ *memory.Region, err error) {
	file, err := openSource(ctx, path)
	if err != nil {
		return nil, nil, err
	}
	g := &givenDevice{file, size}
	var content *memory.Region
	defer func() {
		if err != nil {
			err = errors.Join(err, content.Close(), g.Close())
		}
	}()
	if err = g.checkSize(path); err != nil {
		return nil, nil, err
	}
	if content, err = memory.MapAnonymous(int(size)); err != nil {
		return nil, nil, err
	}
	// One call, so that a slow device takes its time once.
	if _, err = file.ReadAt(content.Bytes, 0); err != nil {
		return nil, nil, fmt.Errorf("--dio-source %s: read what it holds: %w", path, err)
	}
	return g, content, nil
}

// openSource opens a block device for direct reads. Over a file it makes a
// read-only loop device: a direct read from a file system dirties pages that it
// finds clean from a work item, after the read has returned (block/bio.c,
// bio_check_pages_dirty), and nobody could say when the pages were released.
func openSource(ctx context.Context, path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fault.Usagef("--dio-source %s: %w; name a block device or a file", path, err)
	}
	switch {
	case info.Mode()&os.ModeDevice != 0 && info.Mode()&os.ModeCharDevice == 0:
	case info.Mode().IsRegular():
		return openLoopOver(ctx, path)
	default:
		return nil, fault.Usagef("--dio-source %s: it is neither a block device nor a file", path)
	}
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECT, 0)
	if err != nil {
		return nil, fault.Usagef("--dio-source %s: %w; name a device that this user may read", path, err)
	}
	return file, nil
}

func openLoopOver(ctx context.Context, path string) (*os.File, error) {
	backing, err := os.Open(path)
	if err != nil {
		return nil, fault.Usagef("--dio-source %s: %w; name a file that this user may read", path, err)
	}
	defer backing.Close()
	loop, err := block.AttachLoop(ctx, backing)
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
	return suffices(path, has, g.size)
}

func suffices(path string, has, wanted int64) error {
	pages := has &^ int64(os.Getpagesize()-1)
	switch {
	case has >= wanted:
		return nil
	case pages == 0:
		return fault.Usagef("--dio-source %s: it has %d bytes, less than a page, and the reads take %d; name a larger one", path, has, wanted)
	}
	return fault.Usagef("--dio-source %s: it has %d bytes and the reads take %d; give --anon-size %d or a larger device", path, has, wanted, pages)
}

func (g *givenDevice) direct() *os.File { return g.file }
func (g *givenDevice) span() int64      { return g.size }

func (g *givenDevice) describe() record.Device {
	name := filepath.Base(g.file.Name())
	driver, err := os.Readlink("/sys/class/block/" + name + "/device/driver")
	if err != nil {
		driver = "block" // a virtual device has no driver to name
	}
	return record.Device{Name: name, Driver: filepath.Base(driver), Backend: backend}
}

// inFlight is true when every reader sleeps uninterruptibly in pread: its pages
// are mapped and writable, so it waits for the device and for nothing before it.
// Somebody else may use the device, so that its own counts tell nothing.
func (g *givenDevice) inFlight(reads []holder.Reader) (bool, error) {
	for _, r := range reads {
		if blocked, err := sleepsIn(r.Thread, unix.SYS_PREAD64); err != nil || !blocked {
			return false, err
		}
	}
	return true, nil
}

func (g *givenDevice) hold() error         { return nil }
func (g *givenDevice) supply([]byte) error { return nil }
func (g *givenDevice) letGo() error        { return nil }
func (g *givenDevice) Close() error        { return g.file.Close() }
