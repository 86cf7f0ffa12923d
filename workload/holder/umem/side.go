package umem

import (
	"context"

	"umemstress/workload/holder"
	"umemstress/workload/holder/umem/end"
	"umemstress/workload/internal/memory"
	"umemstress/workload/latency"
	"umemstress/workload/payload"
)

// side is what a run wants of one end, wherever it is: of this process, of a child, or of another
// host's.
type side interface {
	Place() end.Place
	Connect(ctx context.Context, to end.Place) error
	// Register has the region, or its like elsewhere, registered as n memory regions.
	Register(ctx context.Context, region *memory.Region, n int) (end.Region, error)
	Begin(ctx context.Context, theirs end.Region, pass holder.Pass) error
	// Renew tells of the other end's region again, whose keys have changed.
	Renew(ctx context.Context, theirs end.Region) error
	// Fill makes the bytes that are sent those that the region has now, by their recipe.
	Fill(ctx context.Context, source *memory.Region, r payload.Recipe) error
	// end.Order has when to call what.
	Expect(ctx context.Context, o end.Order) error
	Send(ctx context.Context, o end.Order) (end.Done, error)
	Await(ctx context.Context) error
	Latencies(ctx context.Context) ([]latency.Count, error)
	ClosePairs(ctx context.Context) error
	Deregister(ctx context.Context, threads int) error
	Close() error
}

// here is an end of this process.
type here struct{ *end.End }

func (h here) Connect(ctx context.Context, to end.Place) error { return h.End.Connect(ctx, to) }

func (h here) Register(ctx context.Context, region *memory.Region, n int) (end.Region, error) {
	return h.End.Register(ctx, region.Bytes, n)
}

func (h here) Begin(_ context.Context, theirs end.Region, pass holder.Pass) error {
	return h.End.Begin(theirs, pass)
}

func (h here) Renew(_ context.Context, theirs end.Region) error { return h.End.Renew(theirs) }

// Fill has nothing to do: the region itself is what is sent from.
func (h here) Fill(context.Context, *memory.Region, payload.Recipe) error { return nil }

func (h here) Expect(_ context.Context, o end.Order) error { return h.End.Expect(o) }

func (h here) Latencies(context.Context) ([]latency.Count, error) { return h.End.Latencies(), nil }

func (h here) ClosePairs(context.Context) error { return h.End.ClosePairs() }

func (h here) Deregister(_ context.Context, threads int) error { return h.End.Deregister(threads) }
