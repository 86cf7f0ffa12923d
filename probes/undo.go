package probes

import (
	"io"
	"sync"
	"sync/atomic"
)

// undo is what removes this process's events from tracefs, should it be killed. It is
// started when the first event is about to be made.
type undo struct {
	group string                                                 // of the events
	start func(script string, args ...string) (io.Closer, error) // nil: nobody does

	events atomic.Uint64 // that package deferred was asked for

	mu      sync.Mutex
	janitor io.Closer
}

func (u *undo) ready() (err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.start == nil || u.janitor != nil {
		return nil
	}
	janitor, err := u.start(eventsUndo, u.group)
	if err != nil {
		return err
	}
	u.janitor = janitor
	return nil
}

// close has the janitor look after events that are removed by now.
func (u *undo) close() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.janitor == nil {
		return nil
	}
	return u.janitor.Close()
}
