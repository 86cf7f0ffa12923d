package v9fs

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"umemstress/workload/holder"
	"umemstress/workload/internal/memory"
)

// pinsPages says whether a direct read from a server pins the pages that it is to bring bytes into, or its answer is
// copied to where the mapping has others by then. It takes the page from under a read that waits: what comes
// into a page that was pinned is nowhere in the memory afterwards.
func pinsPages(ctx context.Context, serve func(context.Context, holder.Config) (holder.Holder, error)) (pins bool, err error) {
	page := os.Getpagesize()
	h, err := serve(ctx, holder.Config{TargetBytes: int64(page)})
	if err != nil {
		return false, err
	}
	regions, err := twoPages(page)
	if err == nil {
		err = takeAway(ctx, h, regions[0], regions[1])
	}
	err = errors.Join(err, h.Close()) // before the memory goes that a read may bring bytes into
	if err == nil {
		pins = regions[0].Bytes[0] != regions[1].Bytes[0]
	}
	for _, r := range regions {
		err = errors.Join(err, r.Close())
	}
	return pins, err
}

// twoPages differ.
func twoPages(page int) (regions []*memory.Region, err error) {
	for i := range 2 {
		r, err := memory.MapAnonymous(page)
		if err != nil {
			return regions, err
		}
		r.Bytes[0] = byte(i)
		regions = append(regions, r)
	}
	return regions, nil
}

// takeAway takes the target from under a read that brings the source.
func takeAway(ctx context.Context, h holder.Holder, target, source *memory.Region) error {
	if err := h.Pin(ctx, source, target); err != nil {
		return err
	}
	if err := unix.Madvise(target.Bytes, unix.MADV_DONTNEED); err != nil {
		return err
	}
	_, err := h.Write(ctx, holder.Step{Again: true})
	return err
}
