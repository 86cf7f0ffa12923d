package workload

import (
	"context"
	"time"

	"umemstress/probes/event"
)

// holder keeps a region's pages pinned and writes into them past the file
// system.
type holder interface {
	// pin pins the target, and the source where the holder needs it pinned. The
	// error is pinRefused when the kernel refuses to pin memory of a file for as
	// long as this holder keeps it, and ineffective when the pin did not last.
	pin(ctx context.Context, source, target *region) error
	// write makes the source's bytes arrive in the target, as step says, and
	// returns when every byte has arrived.
	write(ctx context.Context, step writeStep) (Traffic, error)
	// held says with an ineffective error that the holder has let go of the
	// target's pages on its own.
	held() error
	// release lets go of the pages and returns when the kernel has.
	release(ctx context.Context) error
	// device describes what holds.
	device() Device
	// Close releases what is still held; it may be called at any time.
	Close() error
}

// tallier is a holder that pins for the time of a call.
type tallier interface {
	// tally is how many calls were made, and how many of them held their pages until the
	// second write, or until held told that one did not.
	tally() (attempts, hits int)
}

// holderKind is a holder that a scenario can name.
type holderKind struct {
	Choice
	does       string                                               // what brings the bytes, as in "bytes that arrive by ..."
	pinsSource bool                                                 // the anonymous region is pinned, too
	probed     string                                               // what the probes call its release (event.HolderUmem, ...)
	open       func(ctx context.Context, o Options) (holder, error) // makes what the holder needs; nothing is pinned yet
}

// holderKinds are all holders. Adding one takes a file and a line here.
var holderKinds = []holderKind{
	{Choice{"rdma", "an RDMA memory region registered over the mapping"}, "RDMA WRITE", true, event.HolderUmem, openRDMA},
	{Choice{"dio", "an O_DIRECT read from a slow block device into the mapping"}, "a direct read", false, event.HolderDIO, openDIO},
	{Choice{"vmwritev", "process_vm_writev into the mapping"}, "process_vm_writev", false, event.HolderVMWritev, openVMWritev},
}

// pinRefused says that the kernel refused the pin because the memory is a
// file's: it cannot happen on this kernel.
type pinRefused struct{ error }

func (e pinRefused) Unwrap() error { return e.error }

// writeStep says what one of the two write phases does.
type writeStep struct {
	again         bool // the second one, past the file system that believes the pages clean
	messageBytes  int  // that an RDMA operation carries
	bidirectional bool // passes from the target back into the source as well
	stop          stopRule
}

// stopRule says when a write phase has sent enough.
type stopRule struct {
	messages int             // at least so many; 0: one pass
	until    time.Time       // not before; zero: does not matter
	told     <-chan struct{} // not before it is closed; nil: does not matter
}

// enough is asked after each message that ends a pass, and after each message
// once one pass is complete when a number of messages is given.
func (s stopRule) enough(sent, perPass int, now func() time.Time) bool {
	if sent < perPass || sent < s.messages {
		return false
	}
	if s.messages > 0 || s.until.IsZero() && s.told == nil {
		return true
	}
	return sent%perPass == 0 && !now().Before(s.until) && s.wasTold()
}

func (s stopRule) wasTold() bool {
	if s.told == nil {
		return true
	}
	select {
	case <-s.told:
		return true
	default:
		return false
	}
}
