package umem

import (
	"context"
	"errors"
	"time"

	"umemstress/workload/internal/fault"
)

// How regions are released.
const (
	ReleaseDereg    = "dereg"    // one after the other
	ReleaseParallel = "parallel" // by several threads at once
)

// Releases are all ways.
func Releases() []string { return []string{ReleaseDereg, ReleaseParallel} }

// releasers is how many threads several are.
const releasers = 8

// releaseBound is how long a release may take to reach the kernel's pin count.
const releaseBound = 10 * time.Second

// Release deregisters the regions, the file's first, and waits until the kernel
// has unpinned them: old rxe only drops a reference, and the pages are released
// with the last one.
func (h *registration) Release(ctx context.Context) error {
	if h.target.Answers() {
		if err := errors.Join(h.target.ClosePairs(), h.source.ClosePairs(ctx)); err != nil {
			return err
		}
	}
	threads := 1
	if h.config.Release == ReleaseParallel {
		threads = releasers
	}
	if err := errors.Join(h.target.Deregister(threads), h.source.Deregister(ctx)); err != nil {
		return err
	}
	deadline := time.Now().Add(releaseBound)
	for {
		pinned, err := pinnedBytes()
		if err != nil || pinned <= h.pinnedBefore {
			return err
		}
		if time.Now().After(deadline) {
			return fault.Ineffectivef("%d bytes are still pinned %v after deregistration (VmPin of /proc/self/status)", pinned-h.pinnedBefore, releaseBound)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
}
