package workload

import (
	"context"
	"errors"
	"syscall"
	"time"

	"umemstress/workload/child"
	"umemstress/workload/internal/keeper"
)

// errKernelDied ends the phase in which a thread of the kernel died. What it had locked
// stays locked: who asks for it hangs for ever.
var errKernelDied = errors.New("a thread of the kernel died meanwhile: see kmsg.log; this machine has to be rebooted")

// dieBound is how long a phase may still take after the kernel has died in it.
const dieBound = time.Second

// attend runs a phase, and leaves it where it is when the kernel dies in it: its thread, or
// what it waits for, may be gone. What the phase still writes into the record then is lost.
func (r *run) attend(ctx context.Context, do func(context.Context) error) error {
	done := make(chan error, 1)
	go func() { done <- do(ctx) }()
	select {
	case err := <-done:
		return err
	case <-r.died:
	}
	select {
	case <-done:
	case <-time.After(dieBound):
	}
	return errKernelDied
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
