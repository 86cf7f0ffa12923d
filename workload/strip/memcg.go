package strip

import (
	"context"
	"errors"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/cgroup"
	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/memory"
)

// memcgStripper reclaims a cgroup of the run's own. The process is in it from before
// the regions exist until the strip, so that their pages are charged there.
type memcgStripper struct{ group *cgroup.Group }

func openMemcg(context.Context) (Stripper, error) {
	group, err := cgroup.New()
	if err != nil {
		return nil, err
	}
	if err = errors.Join(group.WithoutSwap(), group.Enter()); err != nil {
		return nil, errors.Join(err, group.Close())
	}
	return memcgStripper{group}, nil
}

// memcgPasses bounds how often reclaim is asked: it deactivates an active page in
// one pass, passes over a referenced one in the next, and unmaps it in the third.
const memcgPasses = 8

// memcgBound bounds all passes together: the kernel goes on with one for as long as it
// finds anything to free.
const memcgBound = 30 * time.Second

// Strip leaves the group first: its pages stay charged there, and nobody is in it
// who could be throttled or killed for what it uses.
func (m memcgStripper) Strip(ctx context.Context, t Target) error {
	if err := m.group.Leave(); err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, memcgBound)
	defer cancel()
	var mapped, passes int
	for ; passes < memcgPasses && bounded.Err() == nil; passes++ {
		if err := drainLRU(t); err != nil {
			return err
		}
		if err := m.reclaim(bounded); err != nil {
			return err
		}
		var err error
		if mapped, err = memory.MappedPages(t.Region.Bytes); err != nil || mapped == 0 {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	usage, err := m.group.Usage()
	if err != nil {
		return err
	}
	return fault.Ineffectivef("reclaim of the run's cgroup left %d of %d pages mapped after %d passes, and %d bytes charged to it",
		mapped, len(t.Region.Bytes)/os.Getpagesize(), passes, usage)
}

// reclaim has the kernel reclaim all that is charged to the group: memory.reclaim
// came with Linux 5.19 (94968384dde1), and lowering memory.high does it before.
func (m memcgStripper) reclaim(ctx context.Context) error {
	name, value := "memory.high", "0"
	if m.group.Has("memory.reclaim") {
		usage, err := m.group.Usage()
		if err != nil {
			return err
		}
		name, value = "memory.reclaim", strconv.FormatInt(usage, 10)
	}
	err := interruptible(ctx, func() error { return m.group.Set(name, value) })
	switch {
	case name == "memory.high":
		return errors.Join(err, m.group.Set(name, "max"))
	case errors.Is(err, unix.EAGAIN): // less was reclaimed than asked for: pinned pages stay
		return nil
	case errors.Is(err, unix.EINTR): // also by a signal that Go sends its own threads
		return nil
	}
	return err
}

// interruptible breaks off a system call in do when ctx ends: reclaim ends when its own
// thread has a signal pending, and one to the process may go to another thread. SIGURG
// is the signal that Go uses on its threads itself.
func interruptible(ctx context.Context, do func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	thread, done := unix.Gettid(), make(chan struct{})
	var signals sync.WaitGroup
	defer signals.Wait() // before the thread may become another's, or end
	defer close(done)
	signals.Go(func() {
		stop, again := ctx.Done(), (<-chan time.Time)(nil)
		for {
			select {
			case <-done:
				return
			case <-stop:
			case <-again:
			}
			unix.Tgkill(os.Getpid(), thread, unix.SIGURG)
			// Once more, should it have come before the system call.
			stop, again = nil, time.After(10*time.Millisecond)
		}
	})
	return do()
}

// Close removes the group.
func (m memcgStripper) Close() error { return m.group.Close() }
