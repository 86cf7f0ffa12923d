package probes

import (
	"errors"
	"runtime"

	"golang.org/x/sys/unix"
)

// undisturbed reads maps without being preempted. While bpf(2) reads one, the kernel
// runs no program of a kprobe or kprobe-multi on that CPU (bpf_disable_instrumentation,
// include/linux/bpf.h). That keeps the reader on its CPU but does not keep others off: a
// reader preempted there makes every release pass unseen until it goes on. Measured on
// 7.2 (preempt=lazy): the two of four direct reads that completed while the stack of the
// first was looked up, in 3 of 55 guests.
//
// So the reader is real-time meanwhile, which ordinary tasks do not preempt. Where that
// is not allowed (CAP_SYS_NICE), it reads all the same, and what was missed is Lost.
func undisturbed(read func() error) (err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		return read()
	}
	realtime := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}
	if err := unix.SchedSetAttr(0, &realtime, 0); err != nil {
		return read()
	}
	defer func() { err = errors.Join(err, unix.SchedSetAttr(0, before, 0)) }()
	return read()
}
