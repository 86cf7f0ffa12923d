package holder

import (
	"context"
	"fmt"

	"umemstress/workload/internal/fault"
)

// MaxCalls bounds the calls of a holder, each of which blocks a thread: the Go
// runtime gives up at 10,000 threads.
const MaxCalls = 4096

// Calls are system calls under way, each of which keeps pages pinned until it
// returns. One goroutine starts them and waits for them.
type Calls struct {
	started, returned int
	results           chan callResult
	failure           error      // the first call that failed
	firstBack         callResult // the first one that returned
	stillHeld         int        // that had not returned when held was asked last
}

// callResult is what became of a call.
type callResult struct {
	what  string // the call and its object, for errors
	bytes int    // it was to move
	moved int
	err   error
}

func (r callResult) failure() error {
	switch {
	case r.err != nil:
		return fmt.Errorf("%s: %w", r.what, r.err)
	case r.moved != r.bytes:
		return fmt.Errorf("%s: only %d of %d bytes arrived", r.what, r.moved, r.bytes)
	}
	return nil
}

// NewCalls makes room for a number of calls.
func NewCalls(number int) *Calls {
	return &Calls{results: make(chan callResult, number)}
}

// Start has do, which is to move so many bytes and returns how many it moved,
// blocked in a goroutine of its own.
func (c *Calls) Start(what string, bytes int, do func() (moved int, err error)) {
	c.started++
	go func() {
		moved, err := do()
		c.results <- callResult{what: what, bytes: bytes, moved: moved, err: err}
	}()
}

func (c *Calls) take(r callResult) {
	if c.returned == 0 {
		c.firstBack = r
	}
	c.returned++
	if c.failure == nil {
		c.failure = r.failure()
	}
}

// tally counts a call as held that was when that was asked last.
func (c *Calls) tally() Tally { return Tally{Attempts: c.started, Held: c.stillHeld} }

// Held returns nil while no call has returned, the failure of one that failed,
// and an ineffective error when calls are over too early.
func (c *Calls) Held() error {
	for {
		select {
		case r := <-c.results:
			c.take(r)
			continue
		default:
		}
		c.stillHeld = c.started - c.returned
		if c.failure != nil || c.returned == 0 {
			return c.failure
		}
		return fault.Ineffectivef("%d of %d calls had already returned, first %s: its pages are no longer pinned",
			c.returned, c.started, c.firstBack.what)
	}
}

// UnderWay says whether a call has not returned, as far as was looked.
func (c *Calls) UnderWay() bool { return c.returned < c.started }

// Wait returns when every call has, or with the context's error.
func (c *Calls) Wait(ctx context.Context) error {
	for c.UnderWay() {
		select {
		case r := <-c.results:
			c.take(r)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return c.failure
}
