// Package aio is the holder aio: it pins by the direct reads of libaio's system calls, io_submit and
// io_getevents, into the mapping, which a suspended device keeps in flight.
package aio

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/probes/event"
	"umemstress/workload/holder"
	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/memory"
	"umemstress/workload/scenario"
)

// Config is what the holder aio is opened with.
type Config = holder.QueuedConfig

// Facts is what is known of the holder aio.
func Facts() scenario.Holder {
	return scenario.Holder{
		Choice: scenario.Choice{Name: "aio", What: "an O_DIRECT read by io_submit (libaio), whose pages a worker of the kernel releases"},
		Does:   "an asynchronous direct read", Once: true, Probed: event.HolderDIO, ByFrames: true, PinsAs: "dio",
	}
}

// Open readies the device, and a context for as many reads as the target takes.
func Open(ctx context.Context, c Config) (holder.Holder, error) {
	return holder.OpenQueued(ctx, "aio", "O_DIRECT read by io_submit", c, func(reads int) (holder.Queue, error) { return newQueue(reads) })
}

// queue is a context of asynchronous I/O.
type queue struct {
	context   uint64 // aio_context_t
	bytes     int64  // of all reads
	submitted int64  // bytes of reads that the kernel saw the submitting thread hand to devices
	since     time.Time
}

func newQueue(reads int) (*queue, error) {
	q := &queue{}
	err := setup(reads, &q.context)
	switch {
	case errors.Is(err, unix.ENOSYS):
		return nil, fault.Lacksf("io_setup: %w; boot a kernel that has it (CONFIG_AIO)", err)
	case errors.Is(err, unix.EAGAIN):
		return nil, fault.Lacksf("io_setup for %d reads: %w; others have the contexts that there may be: raise the sysctl fs.aio-max-nr", reads, err)
	case err != nil:
		return nil, fmt.Errorf("io_setup for %d reads: %w", reads, err)
	}
	return q, nil
}

// Submit submits the reads by one call.
func (q *queue) Submit(from *os.File, reads []holder.QueuedRead) (int, error) {
	blocks := make([]*controlBlock, len(reads))
	for i, r := range reads {
		blocks[i] = &controlBlock{
			Data: uint64(i), Opcode: commandRead, File: uint32(from.Fd()),
			Buffer: uint64(memory.AddressOf(r.Into)), Bytes: uint64(len(r.Into)), Offset: r.At,
		}
		q.bytes += int64(len(r.Into))
	}
	runtime.LockOSThread() // whose reads are counted
	defer runtime.UnlockOSThread()
	before, err := holder.Submitted(unix.Gettid())
	if err != nil {
		return 0, err
	}
	begun, err := submit(q.context, blocks)
	if err == nil && begun < len(blocks) {
		err = fmt.Errorf("io_submit took only %d of %d reads", begun, len(blocks))
	}
	if err != nil {
		return begun, fmt.Errorf("io_submit: %w", err)
	}
	q.since = time.Now()
	after, err := holder.Submitted(unix.Gettid())
	if q.submitted = after - before; after == holder.NotCounted {
		q.submitted = q.bytes
	}
	return begun, err
}

// refusal is how long the events of reads may take that io_submit took and that failed at once.
const refusal = 5 * time.Second

// InFlight holds from when the reads were submitted: io_submit returns when it has handed them to
// the device, or has an event that tells why not.
func (q *queue) InFlight() (bool, error) {
	if q.submitted < q.bytes {
		if time.Since(q.since) < refusal {
			return false, nil
		}
		return false, fmt.Errorf("io_submit took reads of %d bytes, and handed %d to the device", q.bytes, q.submitted)
	}
	return true, nil
}

// Next waits for an event.
func (q *queue) Next() (holder.QueuedResult, error) {
	e, err := getEvent(q.context)
	return holder.QueuedResult{Read: int(e.Data), Result: e.Result}, err
}

// Close ends the context.
func (q *queue) Close() error {
	if err := destroy(q.context); err != nil {
		return fmt.Errorf("io_destroy: %w", err)
	}
	return nil
}

// Available says what the host lacks for a context.
func Available() error {
	q, err := newQueue(1)
	if err != nil {
		return err
	}
	return q.Close()
}
