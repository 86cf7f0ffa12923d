package workload

import (
	"context"

	"umemstress/workload/payload"
	"umemstress/workload/record"
)

// The ways to check what arrives.
const (
	CheckOn  = "on"  // every byte, after each pass
	CheckOff = "off" // none, for speed
)

// overwriting is what a holder calls before it brings a generation's bytes again; nil: it need not.
func (r *run) overwriting(generation uint64) func(context.Context) error {
	if r.options.Check == CheckOff {
		return nil
	}
	return func(ctx context.Context) error { return r.lookAtArrived(ctx, generation) }
}

// lookAtArrived compares what has arrived with what was sent, while nobody but the holder has had to
// do with it: what differs now was corrupted on its way, and what differs on the disk later was lost there.
//
// It is done at the end of each pass of the two write phases, when all is at rest. Before the strip, the
// pages are mapped, by the pin or before it, and are read where they are; after it they are read from the
// page cache (payload.Looker says why that changes nothing). It is not done while traffic goes on through clean and strip:
// there, the mere look at a page could keep reclaim off it. Nor is it after a mutation that takes pages
// from their file, since what arrives then nobody can see.
//
// What cannot be looked at ends no run: the channel says so.
func (r *run) lookAtArrived(ctx context.Context, generation uint64) error {
	channel := &r.record.Channels.Arrival
	if channel.State == record.StateFailed {
		return nil
	}
	pages := uint64(r.region.Length) / uint64(r.payload.PageSize)
	if generation > 1 && r.record.Facts.Detaches {
		channel.UnseenPages += pages
		channel.Why = "the mutation may take the pages from their file, and what arrives then nobody can see"
		return nil
	}
	if r.looker == nil {
		var err error
		if r.looker, err = payload.NewLooker(r.region); err != nil {
			channel.State, channel.Why = record.StateFailed, err.Error()
			return nil
		}
	}
	seen, err := r.looker.Look(ctx, r.payload, generation)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		channel.State, channel.Why = record.StateFailed, err.Error()
		return nil
	}
	channel.State = record.StateOK
	channel.Looks++
	channel.CheckedPages += seen.Checked
	channel.UnseenPages += seen.Unseen
	r.noteCorrupt(seen.Corrupt, generation)
	if seen.Bytes > 0 && channel.CorruptBytes == 0 {
		channel.FirstCorrupt = &seen.First
	}
	channel.CorruptBytes += seen.Bytes
	channel.DisplacedPages += seen.Displaced
	return nil
}

// noteCorrupt notes pages that came other than they were sent: nobody is to be blamed later for what
// is on the disk of them.
func (r *run) noteCorrupt(pages []uint64, generation uint64) {
	if r.corrupt == nil {
		r.corrupt = map[uint64]map[uint64]bool{}
	}
	if r.corrupt[generation] == nil {
		r.corrupt[generation] = map[uint64]bool{}
	}
	for _, page := range pages {
		r.corrupt[generation][page] = true
	}
	r.record.Channels.Arrival.CorruptPages = uint64(len(r.corrupt[1]) + len(r.corrupt[2]))
}

// arrivedCorrupt says of a page whether it is known to have come other than it was sent.
func (r *run) arrivedCorrupt(generation uint64) func(page uint64) bool {
	return func(page uint64) bool { return r.corrupt[generation][page] }
}
