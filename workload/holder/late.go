package holder

import (
	"context"
	"errors"

	"umemstress/workload/internal/memory"
	"umemstress/workload/record"
)

// LateServer serves a file whose reads it leaves unanswered until it is told to let them go.
type LateServer interface {
	// Waiting is how many bytes those reads are to bring that hold their pages, or that one does not.
	Waiting() (int64, error)
	LetGo(source []byte) error // answers reads from here on, by those bytes over and over
	Explain(err error) error   // tells of one that is of the server's end
	Fail() error               // ends reads
	Close() error              // once reads are over
}

// ByLateReads is what holders share that pin by direct reads from a server of their own. A holder
// embeds it and says what it is.
type ByLateReads struct {
	ByCalls
	Server     LateServer // nil: it was closed
	From       File       // that it serves; of its Span, as much is read as the target has bytes
	StoreBytes int        // that an operation of the first write stores
}

// Content is nil: the run chooses the bytes.
func (h *ByLateReads) Content() []byte { return nil }

// Pin starts a read into each part of the target and returns when the server has all of them in hand: the
// kernel pins the pages of a read before it sends the first message of it.
func (h *ByLateReads) Pin(ctx context.Context, source, target *memory.Region) error {
	from := h.From
	from.Span = int64(len(target.Bytes))
	return h.Server.Explain(h.Read(ctx, from, source, target, func([]Reader) (bool, error) {
		waiting, err := h.Server.Waiting()
		return waiting >= from.Span, err
	}))
}

// Held says also when the server is no more.
func (h *ByLateReads) Held() error { return h.Server.Explain(h.ByCalls.Held()) }

// Write has the server answer, when it is the second one.
func (h *ByLateReads) Write(ctx context.Context, step Step) (record.Traffic, error) {
	if !step.Again {
		return h.Store(ctx, h.StoreBytes)
	}
	sent, err := h.LetGo(ctx, func() error { return h.Server.LetGo(h.Source.Bytes) })
	return sent, h.Server.Explain(err)
}

// Close ends reads that are still under way, and gives everything back.
func (h *ByLateReads) Close() error {
	if h.Server == nil {
		return nil
	}
	failed := h.Server.Fail()
	err := errors.Join(failed, h.Outlast(h.From.Name), h.Server.Close())
	h.Server = nil
	return err
}
