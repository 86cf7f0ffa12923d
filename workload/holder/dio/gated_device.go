package dio

import (
	"context"
	"os"

	"umemstress/workload/holder"
	"umemstress/workload/internal/gated"
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

const backend = "O_DIRECT read"

// gatedDevice is one of the run's own.
type gatedDevice struct{ *gated.Device }

func newGatedDevice(ctx context.Context, dir string, size int64) (gatedDevice, error) {
	d, err := gated.New(ctx, dir, size)
	return gatedDevice{d}, err
}

func (g gatedDevice) direct() *os.File           { return g.Node() }
func (g gatedDevice) span() int64                { return g.Size }
func (g gatedDevice) hold() error                { return g.Hold() }
func (g gatedDevice) supply(source []byte) error { return g.Supply(source) }
func (g gatedDevice) letGo() error               { return g.LetGo() }

func (g gatedDevice) describe() record.Device {
	return record.Device{Name: g.Name(), Driver: gated.Driver, Backend: backend}
}

// inFlight asks the threads: the device itself counts no read before it passes it on (drivers/md/dm.c).
func (g gatedDevice) inFlight(reads []holder.Reader) (bool, error) {
	for _, r := range reads {
		if there, err := waits(r); err != nil || !there {
			return false, err
		}
	}
	return true, nil
}
