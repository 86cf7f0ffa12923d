package dio

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/block"
	"umemstress/workload/internal/file"
	"umemstress/workload/record"
)

// slowDevice is a block device whose reads take long.
type slowDevice interface {
	direct() *os.File // open for direct reads
	describe() record.Device
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
	delay   *block.Delay
	size    int64 // bytes
}

func newSlowDevice(ctx context.Context, dir string, size int64, delay time.Duration) (_ *ownSlowDevice, err error) {
	s := &ownSlowDevice{size: size}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.backing, err = file.Nameless(dir, size); err != nil {
		return nil, err
	}
	loop, err := block.AttachLoop(ctx, s.backing)
	if err != nil {
		return nil, err
	}
	s.delay, err = block.NewDelay(ctx, loop, size, delay, dir)
	return s, errors.Join(err, loop.Close()) // the device above keeps it
}

func (s *ownSlowDevice) direct() *os.File { return s.delay.Node }
func (s *ownSlowDevice) span() int64      { return s.size }

func (s *ownSlowDevice) describe() record.Device {
	return record.Device{Name: fmt.Sprintf("dm-%d", unix.Minor(s.delay.Number)), Driver: "dm-delay", Backend: "O_DIRECT read"}
}

// inFlight asks the device: a read that it delays has pinned its pages before it
// was submitted (block/fops.c, __blkdev_direct_IO_simple).
func (s *ownSlowDevice) inFlight(threads []int) (bool, error) {
	delayed, err := s.delay.Delayed()
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

func (s *ownSlowDevice) hurry() error { return s.delay.Flush() }

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
