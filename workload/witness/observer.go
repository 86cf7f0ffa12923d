package witness

import (
	"context"

	"umemstress/probes/event"
)

// Observer is what the probes offer a run. Package probes has the real one; this
// package does not import it, so that records can be judged anywhere.
type Observer interface {
	// Events delivers events as they come, until ctx is done.
	Events(ctx context.Context, deliver func(event.Event)) error
	// Drain returns when the events sent before it was called are delivered.
	Drain(ctx context.Context) error
	// Symbolise fills in the event's kernel stack.
	Symbolise(*event.Event) error
	// SetFilter passes over what the filter does not want, from now on.
	SetFilter(event.Filter) error
	// Counts returns the kernel's exact counts, one for each file, holder and owner.
	Counts() ([]event.Count, error)
	// Acts returns who did how much of it.
	Acts() ([]event.Act, error)
	// Unseen tells what is not seen, by the kind of event that it would be; "": of any.
	Unseen() map[event.Kind]string
	// Lost returns what was lost for want of room.
	Lost() (event.Lost, error)
	Close() error
}
