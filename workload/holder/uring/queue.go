package uring

import (
	"fmt"
	"os"
	"runtime"

	"umemstress/workload/holder"
	"umemstress/workload/internal/memory"
)

// queue makes the reads of a ring.
type queue struct {
	ring    *ring
	bytes   int64 // of all reads
	workers tally
	results chan result
}

type result struct {
	holder.QueuedResult
	err error
}

// Submit has workers of io_uring begin the reads. A thread of its own submits and waits: the kernel
// completes a read in the thread that submitted it (io_uring/io_uring.c, io_req_task_work_add).
func (q *queue) Submit(from *os.File, reads []holder.QueuedRead) (int, error) {
	for i, r := range reads {
		q.bytes += int64(len(r.Into))
		q.ring.prepare(i, submission{
			Opcode: opRead, Flags: async, File: int32(from.Fd()), Offset: uint64(r.At),
			Address: uint64(memory.AddressOf(r.Into)), Length: uint32(len(r.Into)), Data: uint64(i),
		})
	}
	if err := q.workers.begin(); err != nil {
		return 0, err
	}
	submitted := make(chan result)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		n, err := q.ring.submit(len(reads))
		submitted <- result{holder.QueuedResult{Read: n}, err}
		for range n {
			c, err := q.ring.wait()
			q.results <- result{holder.QueuedResult{Read: int(c.Data), Result: int64(c.Result)}, err}
			if err != nil {
				return
			}
		}
	}()
	s := <-submitted
	if s.err == nil && s.Read < len(reads) {
		s.err = fmt.Errorf("it took only %d of %d reads", s.Read, len(reads))
	}
	if s.err != nil {
		return s.Read, fmt.Errorf("io_uring_enter: %w", s.err)
	}
	return s.Read, nil
}

// InFlight asks the workers of io_uring, which submit the reads.
func (q *queue) InFlight() (bool, error) {
	bytes, err := q.workers.since()
	return bytes >= q.bytes, err
}

// Next waits for a read that is over.
func (q *queue) Next() (holder.QueuedResult, error) {
	r := <-q.results
	return r.QueuedResult, r.err
}

// Close gives the ring back.
func (q *queue) Close() error { return q.ring.Close() }
