package workload

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
	"umemstress/probes/event"

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
	config  dioConfig
	slow    slowDevice
	content *region // what a given device holds; nil: the run decides
	reads   *calls
	again   bool

	source, target *region
	size           int64 // of the target in bytes: a strip may unmap it
}

// dioConfig is what the holder dio is opened with.
type dioConfig struct {
	TargetBytes int64  // that are to arrive
	SourceBytes int64  // of a given source that are read, over and over
	StoreBytes  int    // that an operation of the first write stores
	Source      string // a block device or file to read from; empty: a slow device of the run's own
	Dir         string // where a device of the run's own has its space
	// Delay is how long a device of the run's own waits at most; 0: as long as the phases
	// may take.
	Delay time.Duration
}

// dioFacts is what is known of the holder dio.
func dioFacts() Holder {
	return Holder{
		Choice: Choice{"dio", "an O_DIRECT read from a slow block device into the mapping"},
		Does:   "a direct read", Once: true, Probed: event.HolderDIO,
	}
}

// openDIO readies the device to read from.
func openDIO(ctx context.Context, c dioConfig) (holder, error) {
	if c.TargetBytes > maxCalls*dioReadBytes {
		return nil, usagef("--file-size %d: the holder dio blocks a thread for each MiB; give at most %d MiB", c.TargetBytes, maxCalls*dioReadBytes>>20)
	}
	if c.Source != "" {
		given, content, err := openGiven(c.Source, c.SourceBytes)
		if err != nil {
			return nil, err
		}
		return &dioHolder{config: c, slow: given, content: content}, nil
	}
	delay := c.Delay
	if delay == 0 {
		delay = dioDelay(c.TargetBytes)
	}
	slow, err := newSlowDevice(ctx, c.Dir, c.TargetBytes, delay)
	if err != nil {
		return nil, err
	}
	return &dioHolder{config: c, slow: slow}, nil
}

func (h *dioHolder) Device() Device { return h.slow.describe() }

// Content is what a given device holds.
func (h *dioHolder) Content() []byte {
	if h.content == nil {
		return nil
	}
	return h.content.mem
}

// Pin starts a read into each part of the target and returns when all of them
// wait in the device.
func (h *dioHolder) Pin(ctx context.Context, source, target *region) error {
	h.source, h.target, h.size = source, target, int64(len(target.mem))
	touch(target.mem)
	parts := pass{Size: dioReadBytes, Target: h.size, Source: h.slow.span()}
	count := parts.Count()
	if count > maxCalls {
		return usagef("--anon-size %d: the holder dio blocks a thread for each read, and from a given source %d reads would be needed; give at least %d", len(source.mem), count, dioReadBytes)
	}
	h.reads = newCalls(count)
	readers := make(chan int, count)
	for m := range parts.Messages() {
		h.read(m, readers)
	}
	var threads []int
	for range count {
		threads = append(threads, <-readers)
	}
	return h.inFlight(ctx, threads)
}

func (h *dioHolder) read(m message, readers chan<- int) {
	file, into := h.slow.direct(), h.target.mem[m.To:m.To+int64(m.Length)]
	what := fmt.Sprintf("the direct read of %d bytes at %d from %s", m.Length, m.From, h.slow.describe().Name)
	h.reads.start(what, m.Length, func() (int, error) {
		runtime.LockOSThread() // so that the thread can be looked at
		defer runtime.UnlockOSThread()
		readers <- unix.Gettid()
		return unix.Pread(int(file.Fd()), into, m.From)
	})
}

// inFlight waits until all reads do. A read that is over by then did not hold.
func (h *dioHolder) inFlight(ctx context.Context, threads []int) error {
	for {
		err := h.reads.held()
		if errors.Is(err, unix.EFAULT) {
			return pinRefused(err)
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

func (h *dioHolder) Write(ctx context.Context, step writeStep) (Traffic, error) {
	if !step.Again {
		return storeThrough(ctx, h.source, h.target, h.config.StoreBytes)
	}
	if err := h.Held(); err != nil {
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

func (h *dioHolder) Tally() Tally {
	if h.reads == nil { // not pinned yet
		return Tally{}
	}
	return h.reads.tally()
}

func (h *dioHolder) Held() error {
	if h.again {
		return nil
	}
	return h.reads.held()
}

// Release has nothing to do: a read lets go of its pages before it returns.
func (h *dioHolder) Release(ctx context.Context) error {
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
