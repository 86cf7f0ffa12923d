package workload

import (
	"context"
	"errors"
	"syscall"
	"time"

	"umemstress/workload/child"
	"umemstress/workload/internal/keeper"
	"umemstress/workload/internal/mortal"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// errKernelDied ends the phase in which a thread of the kernel died, or was found to hang. What it
// has locked stays locked: who asks for it hangs for ever.
var errKernelDied = errors.New("a thread of the kernel died meanwhile, or hangs: see kmsg.log; this machine has to be rebooted")

// dieBound is how long a phase may still take after the kernel has died in it.
const dieBound = time.Second

// attend runs a phase, and leaves it where it is when the kernel dies in it: its thread, or
// what it waits for, may be gone. What the phase still writes into the record then is lost.
// The kernel's log tells of that, and where nobody may read it, the thread that is gone.
func (r *run) attend(ctx context.Context, phase string, do func(context.Context) error) error {
	done := begin(phase, func() error { return do(ctx) })
	select {
	case err := <-done:
		if goneIn(err) != "" {
			r.die()
		}
		return err
	case <-r.died:
	}
	select {
	case err := <-done:
		if goneIn(err) != "" {
			return err
		}
	case <-time.After(dieBound):
	}
	return errKernelDied
}

// begin begins a phase by a thread of its own, whose end is noticed. The phases that write have
// none: what they pass on between threads for each message would cost them more than what they do.
func begin(phase string, do func() error) <-chan error {
	if phase != scenario.PhaseWrite && phase != scenario.PhaseWriteAgain {
		return mortal.Go("phase "+phase, do)
	}
	done := make(chan error, 1)
	go func() { done <- do() }()
	return done
}

// goneIn is in what the kernel ended a thread of the run; "" if the error is another.
func goneIn(err error) string {
	var gone *mortal.GoneError
	if errors.As(err, &gone) {
		return gone.Doing
	}
	return ""
}

// blames tells from channels whether the kernel died, or hangs, of the run, as the verdict will. It
// is asked while phases go on, so it has what is known of the run by now, and nothing of phases.
func (r *run) blames() func(record.Channels) bool {
	known := *r.record
	known.Phases = nil
	return func(c record.Channels) bool {
		known.Channels = c
		_, ours := known.Blamed()
		return ours
	}
}

// kernelDied says whether a thread of the kernel has died.
func (r *run) kernelDied() bool {
	select {
	case <-r.died:
		return true
	default:
		return false
	}
}

// leave takes down nothing after the kernel has died: to unmount, or to give up the last
// descriptor of an unlinked file, takes locks that nobody will open. A child keeps the
// descriptors, so that at least this process can end.
func (r *run) leave() error {
	cmd, err := child.Command(keeper.Child)
	if err != nil {
		return err
	}
	for _, f := range append(r.scratch.Handles(), r.file.Handle) {
		if f != nil {
			cmd.ExtraFiles = append(cmd.ExtraFiles, f)
		}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd.Start()
}
