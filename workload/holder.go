package workload

import (
	"context"
	"time"
)

// holder keeps a region's pages pinned and writes into them past the file
// system.
type holder interface {
	// pin pins both regions. The error is pinRefused when the kernel refuses to
	// pin memory of a file for as long as this holder keeps it.
	pin(source, target *region) error
	// write copies source onto target through the holder until stop says so,
	// in whole passes, and returns when every byte has arrived.
	write(ctx context.Context, size int, stop stopRule) (Traffic, error)
	// release lets go of the pages and returns when the kernel has.
	release(ctx context.Context) error
	// device describes what holds.
	device() Device
	// Close releases what is still held; it may be called at any time.
	Close() error
}

// pinRefused says that the kernel refused the pin because the memory is a
// file's: it cannot happen on this kernel.
type pinRefused struct{ error }

func (e pinRefused) Unwrap() error { return e.error }

// stopRule says when a write phase has sent enough.
type stopRule struct {
	messages int       // at least so many; 0: one pass
	until    time.Time // not before; zero: does not matter
}

// enough is asked after each message that ends a pass, and after each message
// once one pass is complete when a number of messages is given.
func (s stopRule) enough(sent, perPass int, now func() time.Time) bool {
	if sent < perPass || sent < s.messages {
		return false
	}
	if s.messages > 0 || s.until.IsZero() {
		return true
	}
	return sent%perPass == 0 && !now().Before(s.until)
}
