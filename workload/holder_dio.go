package workload

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// dioReadBytes is what one read carries. Up to 256 pages the kernel reads with a
// single bio and marks the pages dirty in the reader, before pread returns
// (block/fops.c, __blkdev_direct_IO_simple, BIO_MAX_VECS); beyond that, pages
// found clean are dirtied from a work item at some later time.
const dioReadBytes = 1 << 20

// dioDelay is how long the phases between pin and the second write may take. It
// is also how long a killed process lingers: nothing ends a direct read early.
func dioDelay(fileBytes int64) time.Duration {
	return time.Minute + time.Duration(fileBytes>>23)*time.Second
}

// dioHolder keeps pages pinned with direct reads from a slow device into them.
// The first write goes through the mapping; the second one is the arrival of
// what the reads bring.
type dioHolder struct {
	slow    slowDevice
	content *region // what a given device holds; nil: the run decides
	reads   *calls
	again   bool

	source, target *region
	size           int64 // of the target in bytes: a strip may unmap it
}

func openDIO(ctx context.Context, o Options) (holder, error) {
	if err := onePass(o); err != nil {
		return nil, err
	}
	if o.FileBytes > maxCalls*dioReadBytes {
		return nil, usagef("--file-size %d: the holder dio blocks a thread for each MiB; give at most %d MiB", o.FileBytes, maxCalls*dioReadBytes>>20)
	}
	if o.DIOSource != "" {
		given, content, err := openGiven(o.DIOSource, o.AnonBytes)
		if err != nil {
			return nil, err
		}
		return &dioHolder{slow: given, content: content}, nil
	}
	slow, err := newSlowDevice(ctx, o.scratchDir(), o.FileBytes, dioDelay(o.FileBytes))
	if err != nil {
		return nil, err
	}
	return &dioHolder{slow: slow}, nil
}

func (h *dioHolder) device() Device { return h.slow.describe() }

// fixedBytes are the bytes that the second write brings where the run cannot
// choose them; nil where it can.
func (h *dioHolder) fixedBytes() []byte {
	if h.content == nil {
		return nil
	}
	return h.content.mem
}

// pin starts a read into each part of the target and returns when all of them
// wait in the device.
func (h *dioHolder) pin(ctx context.Context, source, target *region) error {
	h.source, h.target, h.size = source, target, int64(len(target.mem))
	touch(target.mem)
	parts := pass{size: dioReadBytes, target: h.size, source: h.slow.span()}
	count := parts.count()
	if count > maxCalls {
		return usagef("--anon-size %d: the holder dio blocks a thread for each read, and from a given source %d reads would be needed; give at least %d", len(source.mem), count, dioReadBytes)
	}
	h.reads = newCalls(count)
	readers := make(chan int, count)
	for m := range parts.messages() {
		h.read(m, readers)
	}
	var threads []int
	for range count {
		threads = append(threads, <-readers)
	}
	return h.inFlight(ctx, threads)
}

func (h *dioHolder) read(m message, readers chan<- int) {
	file, into := h.slow.direct(), h.target.mem[m.to:m.to+int64(m.length)]
	what := fmt.Sprintf("the direct read of %d bytes at %d from %s", m.length, m.from, h.slow.describe().Name)
	h.reads.start(what, m.length, func() (int, error) {
		runtime.LockOSThread() // so that the thread can be looked at
		defer runtime.UnlockOSThread()
		readers <- unix.Gettid()
		return unix.Pread(int(file.Fd()), into, m.from)
	})
}

// inFlight waits until all reads do. A read that is over by then did not hold.
func (h *dioHolder) inFlight(ctx context.Context, threads []int) error {
	for {
		err := h.reads.held()
		if errors.Is(err, unix.EFAULT) {
			return pinRefused{err}
		}
		if err != nil {
			return err
		}
		if there, err := h.slow.inFlight(threads); err != nil || there {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (h *dioHolder) write(ctx context.Context, step writeStep) (Traffic, error) {
	if !step.again {
		return storeThrough(ctx, h.source, h.target, step.messageBytes)
	}
	if err := h.held(); err != nil {
		return Traffic{}, err
	}
	started := time.Now()
	h.again = true
	if err := h.slow.supply(h.source.mem); err != nil {
		return Traffic{}, err
	}
	err := h.reads.wait(ctx)
	done := uint64(h.reads.returned)
	return Traffic{
		Operations: done,
		Bytes:      uint64(h.size),
		Seconds:    time.Since(started).Seconds(),
	}, err
}

func (h *dioHolder) tally() (attempts, hits int) {
	if h.reads == nil { // not pinned yet
		return 0, 0
	}
	return h.reads.tally()
}

func (h *dioHolder) held() error {
	if h.again {
		return nil
	}
	return h.reads.held()
}

// release has nothing to do: a read lets go of its pages before it returns.
func (h *dioHolder) release(ctx context.Context) error {
	return h.reads.wait(ctx)
}

// Close ends reads that are still under way. One that was not yet submitted when
// the device was told to hurry would wait for the whole delay, so it is told again.
func (h *dioHolder) Close() error {
	if h.slow == nil {
		return nil
	}
	var errs []error
	for h.reads != nil && h.reads.returned < h.reads.started {
		if err := h.slow.hurry(); err != nil {
			errs = append(errs, err)
			break
		}
		soon, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		_ = h.reads.wait(soon) // a failed read was reported where it mattered
		cancel()
	}
	errs = append(errs, h.slow.Close(), h.content.Close())
	h.slow = nil
	return errors.Join(errs...)
}
