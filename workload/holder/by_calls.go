package holder

import (
	"context"
	"errors"
	"fmt"
	"time"

	"umemstress/workload/internal/memory"
	"umemstress/workload/record"
)

// ByCalls is what holders share that pin for the time of system calls. Each byte arrives
// once: the first write goes through the mapping, and the second is the arrival of what the
// calls bring. A holder embeds it and says how its calls are made and let go.
type ByCalls struct {
	Source, Target *memory.Region
	Size           int64 // of the target in bytes: a strip may unmap it
	Calls          *Calls

	again bool // the calls were let go
}

// Begin remembers the regions and makes room for so many calls.
func (h *ByCalls) Begin(source, target *memory.Region, size int64, calls int) {
	h.Source, h.Target, h.Size = source, target, size
	h.Calls = NewCalls(calls)
}

// Store is the first write, with an operation for each storeBytes.
func (h *ByCalls) Store(ctx context.Context, storeBytes int) (record.Traffic, error) {
	return StoreThrough(ctx, h.Source, h.Target, storeBytes)
}

// LetGo is the second write: it has letGo end the wait of the calls, and returns when all of
// them have.
func (h *ByCalls) LetGo(ctx context.Context, letGo func() error) (record.Traffic, error) {
	if err := h.Held(); err != nil {
		return record.Traffic{}, err
	}
	started := time.Now()
	h.again = true
	if err := letGo(); err != nil {
		return record.Traffic{}, err
	}
	err := h.Calls.Wait(ctx)
	return record.Traffic{
		Operations: uint64(h.Calls.returned),
		Bytes:      uint64(h.Size),
		Seconds:    time.Since(started).Seconds(),
	}, err
}

// Tally counts the calls.
func (h *ByCalls) Tally() Tally {
	if h.Calls == nil { // not pinned yet
		return Tally{}
	}
	return h.Calls.tally()
}

// Held says with an ineffective error that a call was over before it was let go.
func (h *ByCalls) Held() error {
	if h.again {
		return nil
	}
	return h.Calls.Held()
}

// Release has nothing to do but wait: a call lets go of its pages before it returns.
func (h *ByCalls) Release(ctx context.Context) error { return h.Calls.Wait(ctx) }

// farewell bounds how long a read may take that was answered.
const farewell = 20 * time.Second

// Outlast waits for direct reads from somewhere that were answered, or failed.
func (h *ByCalls) Outlast(from string) error {
	if h.Calls == nil {
		return nil
	}
	soon, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	// One that failed was reported where it mattered.
	if err := h.Calls.Wait(soon); errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("direct reads from %s go on %v after they were answered", from, farewell)
	}
	return nil
}
