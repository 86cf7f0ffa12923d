package workload

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// memcgStripper reclaims a cgroup of the run's own. The process is in it from before
// the regions exist until the strip, so that their pages are charged there.
type memcgStripper struct{ group *cgroup }

func openMemcg(context.Context) (stripper, error) {
	group, err := newCgroup()
	if err != nil {
		return nil, err
	}
	// Only file pages shall go: without swap, reclaim leaves anonymous ones alone. The
	// file is there only if the kernel accounts swap.
	if group.has("memory.swap.max") {
		err = group.set("memory.swap.max", "0")
	}
	if err == nil {
		err = group.enter()
	}
	if err != nil {
		return nil, errors.Join(err, group.Close())
	}
	return memcgStripper{group}, nil
}

// memcgPasses bounds how often reclaim is asked: it deactivates an active page in
// one pass, passes over a referenced one in the next, and unmaps it in the third.
const memcgPasses = 8

// strip leaves the group first: its pages stay charged there, and nobody is in it
// who could be throttled or killed for what it uses.
func (m memcgStripper) strip(ctx context.Context, r *region, file *os.File) error {
	if err := m.group.leave(); err != nil {
		return err
	}
	var mapped int
	for range memcgPasses {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := drainLRU(file, int64(len(r.mem))); err != nil {
			return err
		}
		if err := m.reclaim(); err != nil {
			return err
		}
		var err error
		if mapped, err = mappedPages(r.mem); err != nil || mapped == 0 {
			return err
		}
	}
	usage, err := m.group.usage()
	if err != nil {
		return err
	}
	return ineffective{fmt.Errorf("reclaim of the run's cgroup left %d of %d pages mapped after %d passes, and %d bytes charged to it",
		mapped, len(r.mem)/os.Getpagesize(), memcgPasses, usage)}
}

// reclaim has the kernel reclaim all that is charged to the group: memory.reclaim
// came with Linux 5.19 (94968384dde1), and lowering memory.high does it before.
func (m memcgStripper) reclaim() error {
	if !m.group.has("memory.reclaim") {
		return errors.Join(m.group.set("memory.high", "0"), m.group.set("memory.high", "max"))
	}
	usage, err := m.group.usage()
	if err != nil {
		return err
	}
	err = m.group.set("memory.reclaim", strconv.FormatInt(usage, 10))
	if errors.Is(err, unix.EAGAIN) { // less was reclaimed than asked for: pinned pages stay
		return nil
	}
	return err
}

// Close removes the group.
func (m memcgStripper) Close() error { return m.group.Close() }
