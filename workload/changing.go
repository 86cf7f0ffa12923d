package workload

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/workload/filesystem"
	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/mortal"
	"umemstress/workload/mutation"
	"umemstress/workload/payload"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// Where there is no page cache, a page that is pinned is a block of the file, which nobody else may have
// before it is let go of: who punches a hole, or truncates the file, waits for that
// (ext4_break_layouts, fs/ext4/inode.c; dax_layout_busy_page, fs/dax.c). A mutation there is begun, and not
// waited for any longer than it takes to know that it waits. So does who takes a clone of the file
// (xfs_mmaplock_two_inodes_and_break_dax_layout, fs/xfs/xfs_inode.c).

// changing is such a mutation under way.
type changing struct {
	began  time.Time
	thread int // that makes it
	ended  chan changed
	over   <-chan error
	waits  bool // it was seen to wait
}

// changed is one that has returned.
type changed struct {
	at    time.Time
	clone *os.File // that it made; nil: none
}

const (
	// waitsAfter is how long a mutation may take that waits for nobody. One of 64 MiB takes a tenth of it
	// under software emulation.
	waitsAfter = 2 * time.Second
	// waitsNoLonger bounds how long one takes when the pages have been let go of, and then again when it has
	// been woken.
	waitsNoLonger = 5 * time.Second
)

// change begins a mutation. It says with an error of one that waits that it has not returned.
func (r *run) change(ctx context.Context, kind mutation.Kind, t mutation.Target) error {
	thread := make(chan int, 1)
	c := &changing{began: time.Now(), ended: make(chan changed, 1)}
	c.over = mortal.Go("mutation "+kind.Name, func() error {
		thread <- unix.Gettid()
		clone, err := kind.Mutate(t)
		c.ended <- changed{time.Now(), clone}
		return err
	})
	c.thread = <-thread
	r.changing = c
	select {
	case err := <-c.over:
		r.changing = nil
		r.clone = c.did().clone
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(waitsAfter):
	}
	if err := r.holder.Held(); err != nil {
		return err
	}
	c.waits = true
	return fault.Waitsf("%s had not returned after %v%s, and waits until the pages are let go of", kind.Name, waitsAfter, sleepingIn(c.thread))
}

// did is what came of one that is over: nothing, where its thread is gone.
func (c *changing) did() changed {
	select {
	case done := <-c.ended:
		return done
	default:
		return changed{}
	}
}

// sleepingIn is in what function of the kernel a thread of this process sleeps, as far as that is told
// (/proc/PID/wchan).
func sleepingIn(thread int) string {
	name, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/wchan", thread))
	if text := strings.TrimSpace(string(name)); err == nil && text != "" && text != "0" {
		return " (" + text + ")"
	}
	return ""
}

// stillWaits says with an ineffective error that a mutation which waited goes on no more: it is asked
// when the holder is about to let go, which was what it waited for.
func (r *run) stillWaits() error {
	if r.changing != nil && len(r.changing.ended) > 0 {
		return fault.Ineffectivef("%s returned before the holder had let go of the pages, and did not wait for that after all", r.options.Scenario.Mutation)
	}
	return nil
}

// wake has the thread of the mutation look again whether the pages are free: the kernel's wait ends for a signal,
// and the call is made again. SIGURG is one that the runtime of Go sends its own threads.
func (c *changing) wake() error {
	err := unix.Tgkill(os.Getpid(), c.thread, unix.SIGURG)
	if errors.Is(err, unix.ESRCH) { // it has returned
		return nil
	}
	return err
}

// awaitChange waits for a mutation that waited for the holder, which has let go.
func (r *run) awaitChange(ctx context.Context) error {
	c := r.changing
	if c == nil || !c.waits {
		return nil
	}
	woken := false
	var stack []string
	for {
		select {
		case err := <-c.over:
			r.noteChanged(woken, stack)
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(waitsNoLonger):
			if woken {
				return fault.Ineffectivef("%s goes on waiting, %v after the holder has let go of the pages, and after a signal", r.options.Scenario.Mutation, 2*waitsNoLonger)
			}
			woken, stack = true, stackOf(c.thread)
			if err := c.wake(); err != nil {
				return err
			}
		}
	}
}

// noteChanged notes of a mutation that waited, and is over, how long that took, and whether a signal had to end it.
func (r *run) noteChanged(woken bool, stack []string) {
	began, done := r.changing.began, r.changing.did()
	r.changing, r.clone = nil, done.clone
	if done.at.IsZero() {
		return
	}
	for i := range r.record.Phases {
		if p := &r.record.Phases[i]; p.Name == scenario.PhaseMutate {
			p.WaitedSeconds = done.at.Sub(began).Seconds()
			p.Unwoken, p.UnwokenStack = woken, stack
		}
	}
}

// stackOf is where in the kernel a thread of this process is, innermost function first, as far as that is
// told (/proc/PID/stack, CONFIG_STACKTRACE).
func stackOf(thread int) (frames []string) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/stack", thread))
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(text)) {
		if _, frame, found := strings.Cut(strings.TrimSpace(line), "] "); found { // [<0>] function+0x1/0x2
			frames = append(frames, frame)
		}
	}
	return frames
}

// leaveChange waits for a mutation under way, whose holder was closed: it works on the file that is to be
// closed next.
func (r *run) leaveChange() error {
	if r.changing == nil {
		return nil
	}
	if err := r.changing.wake(); err != nil {
		return err
	}
	select {
	case <-r.changing.over: // what it came to is nobody's concern any more
		r.clone = r.changing.did().clone
		return nil
	case <-time.After(waitsNoLonger):
		return errors.New("the mutation " + r.options.Scenario.Mutation + " goes on waiting for pages that nobody of this run holds; it ends with this process")
	}
}

// expected is what the file's region holds in the end: a mutation that waited comes after all that has
// arrived, and one that takes pages from the file leaves nothing of it.
func (r *run) expected() payload.Payload {
	if kind, _ := scenario.Find(mutation.Kinds(), r.options.Scenario.Mutation); kind.Detaches && r.mutationWaited() {
		return payload.Blank(r.payload.PageSize)
	}
	return r.payload
}

// cloned is the generation of the payload that a clone was taken of.
func (r *run) cloned() uint64 {
	if r.mutationWaited() {
		return 2
	}
	return 1
}

func (r *run) mutationWaited() bool {
	return slices.ContainsFunc(r.record.Phases, func(p record.Phase) bool {
		return p.Name == scenario.PhaseMutate && p.Outcome == record.OutcomeWaits
	})
}

// direct says whether there is no page cache between the file's pages and their device.
func (r *run) direct() bool {
	kind, _ := scenario.Find(filesystem.Kinds(), r.options.Scenario.Filesystem)
	return kind.Backing == scenario.OnPmem
}
