package umem

import (
	"context"
	"time"

	"umemstress/workload/holder/umem/remote"
	"umemstress/workload/internal/fault"
)

// How regions are released.
const (
	ReleaseDereg    = "dereg"    // one after the other
	ReleaseParallel = "parallel" // by several threads at once
	ReleaseExit     = "exit"     // by nobody: the process that has them ends
	ReleaseKill     = "kill"     // the same, killed
)

// Releases are all ways.
func Releases() []string { return []string{ReleaseDereg, ReleaseParallel, ReleaseExit, ReleaseKill} }

// releasers is how many threads several are.
const releasers = 8

// releaseBound is how long a release may take to reach the kernel's pin count.
const releaseBound = 10 * time.Second

// byProcess says whether the file's regions are of a process of their own, whose end releases
// them.
func (h *registration) byProcess() bool {
	return h.config.Release == ReleaseExit || h.config.Release == ReleaseKill
}

// Release deregisters the regions, the file's first, and waits until the kernel
// has unpinned them: old rxe only drops a reference, and the pages are released
// with the last one.
func (h *registration) Release(ctx context.Context) error {
	if h.ends.Answers() {
		if err := h.source.ClosePairs(ctx); err != nil {
			return err
		}
	}
	if err := h.releaseTarget(ctx); err != nil {
		return err
	}
	if err := h.source.Deregister(ctx, 1); err != nil {
		return err
	}
	return h.awaitUnpinned(ctx)
}

func (h *registration) releaseTarget(ctx context.Context) error {
	if p, apart := h.target.(*remote.End); apart {
		return p.Stop(ctx, h.config.Release == ReleaseKill)
	}
	if h.ends.Answers() {
		if err := h.target.ClosePairs(ctx); err != nil {
			return err
		}
	}
	threads := 1
	if h.config.Release == ReleaseParallel {
		threads = releasers
	}
	return h.target.Deregister(ctx, threads)
}

func (h *registration) awaitUnpinned(ctx context.Context) error {
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
