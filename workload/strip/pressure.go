package strip

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/hog"
	"umemstress/workload/internal/memory"
	"umemstress/workload/meminfo"
)

// pressureStripper has kswapd reclaim the region, as it does on any host whose
// memory runs short: a hog takes all of it, step by step, until kswapd has come
// to the region's pages.
type pressureStripper struct{ hog *hog.Hog }

// openPressure starts the hog, which has taken nothing yet.
func openPressure(ctx context.Context) (Stripper, error) {
	if err := sparedByOOM(); err != nil {
		return nil, fmt.Errorf("strip pressure: %w", err)
	}
	h, err := hog.Start(ctx)
	if err != nil {
		return nil, fmt.Errorf("strip pressure: %w", err)
	}
	return pressureStripper{h}, nil
}

// pressurePause is what lies between two steps of the hog: kswapd's time to work; and
// between two looks at the pages while the hog is busy.
const pressurePause = 10 * time.Millisecond

// pressureStall is how long the hog may work at one step. No bound of the whole would
// do: how long it takes to fill a machine depends on its size, its speed and its swap.
const pressureStall = 30 * time.Second

// hogStep is how many bytes the hog takes next: a quarter of what is still available,
// so that it is fast at first and leaves kswapd time to free memory at last; but never
// so many that nothing could be seen or stopped meanwhile.
func hogStep(available int64) int64 {
	const least, most = 1 << 20, 256 << 20
	return min(max(available/4, least), most)
}

// Strip lets the hog grow until reclaim has unmapped every page of the region (see
// stripPageout), and then gives all memory back at once.
func (p pressureStripper) Strip(ctx context.Context, t Target) (err error) {
	defer func() { err = errors.Join(err, p.hog.Close()) }()
	if err := drainLRU(t); err != nil {
		return err
	}
	unlock, err := memory.LockText()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	for {
		if mapped, err := memory.MappedPages(t.Region.Bytes); err != nil || mapped == 0 {
			return err
		}
		if err := p.step(ctx, t.Region); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pressurePause):
		}
	}
}

// step has the hog grow once, and returns when it has or when no page is mapped any more.
func (p pressureStripper) step(ctx context.Context, r *memory.Region) error {
	has, err := meminfo.Read()
	if err != nil {
		return err
	}
	if err := p.hog.Grow(hogStep(has.Available)); err != nil {
		return p.unless(err, r)
	}
	stalled := time.After(pressureStall)
	tick := time.NewTicker(pressurePause)
	defer tick.Stop()
	for {
		select {
		case _, alive := <-p.hog.Answers:
			if !alive {
				return p.unless(p.hog.Fate(), r)
			}
			return nil
		case <-tick.C:
			if mapped, err := memory.MappedPages(r.Bytes); err != nil || mapped == 0 {
				return err
			}
		case <-stalled:
			return p.unless(fmt.Errorf("the memory hog was at one step for %v", pressureStall), r)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// unless explains a strip that ended before its time, unless the last of the pages went with it.
func (p pressureStripper) unless(reason error, r *memory.Region) error {
	mapped, err := memory.MappedPages(r.Bytes)
	if err != nil || mapped == 0 {
		return err
	}
	has, err := meminfo.Read()
	if err != nil {
		return err
	}
	return fault.Ineffectivef("memory pressure left %d of %d pages mapped: %w; it had been told to take %d MiB, and %d MiB are available",
		mapped, len(r.Bytes)/os.Getpagesize(), reason, p.hog.Taken>>20, has.Available>>20)
}

// Close ends the hog.
func (p pressureStripper) Close() error { return p.hog.Close() }
