// Package uring is the holder uring: it pins by direct reads of io_uring into the mapping, which a
// suspended device keeps in flight.
package uring

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"umemstress/probes/event"
	"umemstress/workload/holder"
	"umemstress/workload/internal/fault"
	"umemstress/workload/scenario"
)

// Config is what the holder uring is opened with.
type Config = holder.QueuedConfig

// Facts is what is known of the holder uring.
func Facts() scenario.Holder {
	return scenario.Holder{
		Choice: scenario.Choice{Name: "uring", What: "an O_DIRECT read by io_uring, whose pages a worker of the kernel releases"},
		Does:   "a direct read of io_uring", Once: true, Probed: event.HolderDIO, ByFrames: true, PinsAs: "dio",
	}
}

// Open readies the device, and a ring for as many reads as the target takes.
func Open(ctx context.Context, c Config) (holder.Holder, error) {
	return holder.OpenQueued(ctx, "uring", "O_DIRECT read by io_uring", c, func(reads int) (holder.Queue, error) { return newQueue(reads) })
}

func newQueue(reads int) (*queue, error) {
	r, err := newRing(uint32(reads))
	switch {
	case errors.Is(err, unix.ENOSYS):
		return nil, fault.Lacksf("io_uring_setup: %w; boot a kernel that has it (CONFIG_IO_URING), or give --holder aio", err)
	case errors.Is(err, unix.EPERM):
		return nil, fault.Lacksf("io_uring_setup: %w; sysctl kernel.io_uring_disabled=0, and a container's seccomp profile has to allow it, or give --holder aio", err)
	case err != nil:
		return nil, fmt.Errorf("io_uring_setup for %d reads: %w", reads, err)
	}
	if r.features&featNativeWorkers == 0 {
		return nil, errors.Join(fault.Lacksf("io_uring's workers are no threads of the program on this kernel (IORING_FEAT_NATIVE_WORKERS, Linux 5.12), so that nobody knows whether their reads are in flight; give --holder aio"), r.Close())
	}
	counted, err := holder.Submitted(unix.Getpid())
	if err == nil && counted == holder.NotCounted {
		err = fault.Lacksf("this kernel does not count what a thread reads (CONFIG_TASK_IO_ACCOUNTING), so that nobody knows whether reads of io_uring are in flight; give --holder aio")
	}
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return &queue{ring: r, results: make(chan result, reads)}, nil
}

// Available says what the host lacks for a ring.
func Available() error {
	q, err := newQueue(1)
	if err != nil {
		return err
	}
	return q.Close()
}
