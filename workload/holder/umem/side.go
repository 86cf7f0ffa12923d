package umem

import (
	"context"

	"umemstress/workload/holder"
	"umemstress/workload/holder/umem/end"
	"umemstress/workload/internal/memory"
)

// side is what a transfer wants of one end, wherever it is: end.Order has when to call what.
type side interface {
	Sends(back bool) bool
	Expect(ctx context.Context, o end.Order) error
	Send(ctx context.Context, o end.Order) (end.Done, error)
	Await(ctx context.Context) error
}

// here is an end of this process.
type here struct{ *end.End }

// Expect makes receives ready.
func (h here) Expect(_ context.Context, o end.Order) error { return h.End.Expect(o) }

// other is the end that has the source's region, of this process or of another host's.
type other interface {
	side
	Place() end.Place
	Connect(ctx context.Context, to end.Place) error
	// Register has the region's bytes as a source.
	Register(ctx context.Context, source *memory.Region) (end.Region, error)
	Begin(ctx context.Context, theirs end.Region, pass holder.Pass) error
	// Fill makes the bytes of the source those that the region has now.
	Fill(ctx context.Context, source *memory.Region) error
	ClosePairs(ctx context.Context) error
	Deregister(ctx context.Context) error
	Close() error
}

// hereToo is other, of this process.
type hereToo struct{ here }

func (h hereToo) Connect(_ context.Context, to end.Place) error { return h.End.Connect(to) }

func (h hereToo) Register(_ context.Context, source *memory.Region) (end.Region, error) {
	return h.End.Register(source.Bytes, 1)
}

func (h hereToo) Begin(_ context.Context, theirs end.Region, pass holder.Pass) error {
	return h.End.Begin(theirs, pass)
}

// Fill has nothing to do: the region itself is what is sent from.
func (h hereToo) Fill(context.Context, *memory.Region) error { return nil }

func (h hereToo) ClosePairs(context.Context) error { return h.End.ClosePairs() }

func (h hereToo) Deregister(context.Context) error { return h.End.Deregister(1) }
