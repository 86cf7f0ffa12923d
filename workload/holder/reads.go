package holder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/memory"
)

// ReadBytes is what one direct read carries. Up to 256 pages the kernel reads from a block device
// with a single bio and marks the pages dirty in the reader, before pread returns (block/fops.c,
// __blkdev_direct_IO_simple, BIO_MAX_VECS); beyond that, pages found clean are dirtied from a
// work item at some later time. From NFS it is what one call reads.
const ReadBytes = 1 << 20

// File is what direct reads read from.
type File struct {
	Handle *os.File
	Name   string // for errors
	Span   int64  // bytes that are read from it, over and over for a larger target
	Part   int    // bytes of one read; 0: ReadBytes
}

// Reader is a direct read that was begun.
type Reader struct {
	Thread    int   // that reads
	Bytes     int   // it is to bring
	Submitted int64 // what Submitted said of the thread before
}

// Read makes a direct read into each part of the target, in a thread of its own, and returns when
// inFlight says of them that all of them wait. A read that is over by then did not hold.
func (h *ByCalls) Read(ctx context.Context, f File, source, target *memory.Region, inFlight func(reads []Reader) (bool, error)) error {
	memory.Touch(target.Bytes)
	parts := Pass{Size: cmp.Or(f.Part, ReadBytes), Target: int64(len(target.Bytes)), Source: f.Span}
	count := parts.Count()
	if count > MaxCalls {
		return fault.Usagef("--anon-size %d: a direct read blocks a thread, and from a given source %d reads would be needed; give at least %d", len(source.Bytes), count, ReadBytes)
	}
	h.Begin(source, target, parts.Target, count)
	readers := make(chan Reader, count)
	for m := range parts.Messages() {
		h.startRead(f, m, readers)
	}
	var reads []Reader
	for range count {
		reads = append(reads, <-readers)
	}
	return h.awaitFlight(ctx, func() (bool, error) { return inFlight(reads) })
}

func (h *ByCalls) startRead(f File, m Message, readers chan<- Reader) {
	into := h.Target.Bytes[m.To : m.To+int64(m.Length)]
	what := fmt.Sprintf("the direct read of %d bytes at %d from %s", m.Length, m.From, f.Name)
	h.Calls.Start(what, m.Length, func() (int, error) {
		runtime.LockOSThread() // so that the thread can be looked at
		defer runtime.UnlockOSThread()
		r := Reader{Thread: unix.Gettid(), Bytes: m.Length}
		var err error
		r.Submitted, err = Submitted(r.Thread)
		readers <- r
		if err != nil {
			return 0, err
		}
		return unix.Pread(int(f.Handle.Fd()), into, m.From)
	})
}

// flightBound bounds how long reads that were begun may not be seen in flight.
const flightBound = 2 * time.Minute

func (h *ByCalls) awaitFlight(ctx context.Context, inFlight func() (bool, error)) error {
	for began := time.Now(); ; {
		err := h.Calls.Held()
		if errors.Is(err, unix.EFAULT) {
			return fault.PinRefused(err)
		}
		if err != nil {
			return err
		}
		if there, err := inFlight(); err != nil || there {
			return err
		}
		if time.Since(began) > flightBound {
			return fault.Ineffectivef("%d direct reads were begun, and %v later not all had been seen to wait for their device with their pages pinned", h.Calls.started, flightBound)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}
