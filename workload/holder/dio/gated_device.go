package dio

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"umemstress/workload/holder"
	"umemstress/workload/internal/block"
	"umemstress/workload/internal/file"
	"umemstress/workload/record"
)

// device is a block device whose reads can be held, or take long.
type device interface {
	direct() *os.File // open for direct reads
	describe() record.Device
	// hold has reads wait in the device that come from now on, where it can be told to.
	hold() error
	// inFlight says whether all reads wait in the device.
	inFlight(reads []holder.Reader) (bool, error)
	// span is how many bytes are read from it, over and over for a larger target.
	span() int64
	// supply makes the device hold the bytes, over and over, and ends the reads' wait.
	supply(source []byte) error
	// letGo ends the wait of the reads, as far as it can be ended.
	letGo() error
	Close() error
}

// gatedDevice is made for a run: a nameless file, a loop device, and a gate over it.
type gatedDevice struct {
	backing *os.File
	gate    *block.Gate
	size    int64 // bytes
}

func newGatedDevice(ctx context.Context, dir string, size int64) (_ *gatedDevice, err error) {
	g := &gatedDevice{size: size}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.Close())
		}
	}()
	if g.backing, err = file.Nameless(dir, size); err != nil {
		return nil, err
	}
	loop, err := block.AttachLoop(ctx, g.backing)
	if err != nil {
		return nil, err
	}
	g.gate, err = block.NewGate(ctx, loop, size, dir)
	return g, errors.Join(err, loop.Close()) // the device above keeps it
}

func (g *gatedDevice) direct() *os.File { return g.gate.Node }
func (g *gatedDevice) span() int64      { return g.size }

func (g *gatedDevice) describe() record.Device {
	return record.Device{Name: fmt.Sprintf("dm-%d", unix.Minor(g.gate.Number)), Driver: "dm-linear", Backend: "O_DIRECT read"}
}

func (g *gatedDevice) hold() error { return g.gate.Suspend() }

// inFlight asks the threads: the device itself counts no read before it passes it on (drivers/md/dm.c).
func (g *gatedDevice) inFlight(reads []holder.Reader) (bool, error) {
	for _, r := range reads {
		if there, err := waits(r); err != nil || !there {
			return false, err
		}
	}
	return true, nil
}

// supply writes to the file below the gate, which no read that is held has reached.
func (g *gatedDevice) supply(source []byte) error {
	for at := int64(0); at < g.size; at += int64(len(source)) {
		part := source[:min(int64(len(source)), g.size-at)]
		if _, err := g.backing.WriteAt(part, at); err != nil {
			return fmt.Errorf("put %d bytes at %d into the scratch file below the device that is read: %w", len(part), at, err)
		}
	}
	return g.letGo()
}

func (g *gatedDevice) letGo() error { return g.gate.Resume() }

func (g *gatedDevice) Close() error {
	var errs []error
	if g.gate != nil {
		errs = append(errs, g.gate.Close())
	}
	if g.backing != nil {
		errs = append(errs, g.backing.Close())
	}
	g.gate, g.backing = nil, nil
	return errors.Join(errs...)
}
