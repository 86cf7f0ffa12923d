package workload

import (
	"context"
	"errors"

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
	// Counts returns the kernel's exact counts, one a file.
	Counts() ([]event.Count, error)
	// Lost returns what was lost for want of room.
	Lost() (event.Lost, error)
	Close() error
}

// attachment is an Observer that may still be on its way.
type attachment struct {
	done     chan struct{}
	observer Observer
	err      error // why there is none
}

var errSwitchedOff = errors.New("switched off")

// attachSoon begins to attach the probes, which takes as long as all else in the
// prepare phase together.
func attachSoon(o Options) *attachment {
	a := &attachment{done: make(chan struct{}), err: errSwitchedOff}
	if o.Observe == ObserveOff || o.Attach == nil {
		close(a.done)
		return a
	}
	go func() {
		defer close(a.done)
		kind, _ := find(holderKinds, o.Scenario.Holder)
		a.observer, a.err = o.Attach(kind.probed)
	}()
	return a
}

// wait returns the observer once it is attached.
func (a *attachment) wait() (Observer, error) {
	<-a.done
	return a.observer, a.err
}

// Close detaches, also what was attached after the run had given up on it. It may
// be called again.
func (a *attachment) Close() error {
	if a == nil {
		return nil
	}
	if observer, _ := a.wait(); observer != nil {
		return observer.Close()
	}
	return nil
}
