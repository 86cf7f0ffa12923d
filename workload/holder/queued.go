package holder

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/gated"
	"umemstress/workload/internal/memory"
	"umemstress/workload/record"
)

// Queue is a way to have the kernel read without waiting for it.
type Queue interface {
	// Submit begins direct reads from the file, in order, and returns how many were begun.
	Submit(from *os.File, reads []QueuedRead) (begun int, err error)
	// InFlight says whether all of them have pinned their pages and were handed to the device.
	InFlight() (bool, error)
	// Next waits for one of them that is over.
	Next() (QueuedResult, error)
	// Close ends the queue, of whose reads none is under way.
	Close() error
}

// QueuedRead is a direct read. The memory is mapped, and stays so until the read is over, but for
// what a run unmaps on purpose: the pages are pinned.
type QueuedRead struct {
	Into []byte
	At   int64 // in the file
}

// QueuedResult is what became of a read.
type QueuedResult struct {
	Read   int   // its place among those that were submitted
	Result int64 // bytes, or the negative of an errno
}

// QueuedConfig is what a holder of queued reads is opened with.
type QueuedConfig struct {
	TargetBytes int64  // that are to arrive
	StoreBytes  int    // that an operation of the first write stores
	Dir         string // where the device has its space
}

// queued keeps pages pinned with direct reads into them that nobody waits for, from a device of the
// run's own.
type queued struct {
	ByCalls
	config    QueuedConfig
	backend   string // how it reads
	device    *gated.Device
	queue     Queue
	frames    []uint64 // of the target
	releasing *memory.Releasing
}

// OpenQueued makes the device of the holder of that name, and a queue for so many reads, which are made
// as backend says.
func OpenQueued(ctx context.Context, name, backend string, c QueuedConfig, open func(reads int) (Queue, error)) (_ Holder, err error) {
	count := Pass{Size: ReadBytes, Target: c.TargetBytes, Source: c.TargetBytes}.Count()
	if count > MaxCalls {
		return nil, fault.Usagef("--file-size %d: the holder %s reads 1 MiB at a time; give at most %d MiB", c.TargetBytes, name, MaxCalls*ReadBytes>>20)
	}
	h := &queued{config: c, backend: backend}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.Close())
		}
	}()
	if h.queue, err = open(count); err != nil {
		return nil, err
	}
	h.device, err = gated.New(ctx, c.Dir, c.TargetBytes)
	return h, err
}

// Device is what is read from.
func (h *queued) Device() record.Device {
	return record.Device{Name: h.device.Name(), Driver: gated.Driver, Backend: h.backend}
}

// Content is nil: the run chooses the bytes.
func (h *queued) Content() []byte { return nil }

// Pin begins a read into each part of the target and returns when the device holds all of them.
func (h *queued) Pin(ctx context.Context, source, target *memory.Region) error {
	memory.Touch(target.Bytes)
	var reads []QueuedRead
	for m := range (Pass{Size: ReadBytes, Target: int64(len(target.Bytes)), Source: h.device.Size}).Messages() {
		reads = append(reads, QueuedRead{Into: target.Bytes[m.To : m.To+int64(m.Length)], At: m.From})
	}
	h.Begin(source, target, int64(len(target.Bytes)), len(reads))
	if err := h.device.Hold(); err != nil {
		return err
	}
	begun, err := h.queue.Submit(h.device.Node(), reads)
	h.await(reads[:begun])
	if err != nil {
		return err
	}
	if err := h.awaitFlight(ctx, h.queue.InFlight); err != nil {
		return err
	}
	memory.Show(target.Bytes) // what was unmapped since is where it was: it is pinned
	h.frames, err = memory.Frames(target.Bytes)
	if err == nil && slices.Contains(h.frames, 0) {
		err = fault.Ineffectivef("pages into which reads are in flight are not mapped, so that nobody could see them released")
	}
	return err
}

// await has a call for each read, which returns when that is over.
func (h *queued) await(reads []QueuedRead) {
	over := make([]chan QueuedResult, len(reads))
	for i, r := range reads {
		over[i] = make(chan QueuedResult, 1)
		what := fmt.Sprintf("the direct read of %d bytes at %d by %s", len(r.Into), r.At, h.backend)
		h.Calls.Start(what, len(r.Into), func() (int, error) {
			done := <-over[i]
			if done.Result < 0 {
				return 0, unix.Errno(-done.Result)
			}
			return int(done.Result), nil
		})
	}
	go func() {
		for range reads {
			done, err := h.queue.Next()
			if err != nil { // nothing tells of the others any more
				for _, each := range over {
					select {
					case each <- QueuedResult{Result: -int64(unix.EIO)}:
					default:
					}
				}
				return
			}
			over[done.Read] <- done
		}
	}()
}

// Write is what the reads bring, when it is the second one.
func (h *queued) Write(ctx context.Context, step Step) (record.Traffic, error) {
	if !step.Again {
		return h.Store(ctx, h.config.StoreBytes)
	}
	return h.LetGo(ctx, func() (err error) {
		if h.releasing, err = memory.WatchRelease(h.frames); err != nil {
			return err
		}
		return h.device.Supply(h.Source.Bytes)
	})
}

const (
	// unseen bounds how long a worker of the kernel may take to release the pages of a read that
	// is over.
	unseen = 10 * time.Second
	// unmarked is how long one is waited for that may not mark them: some kernels leave the pages of
	// large folios as they are.
	unmarked = 2 * time.Second
)

// Release waits for what the reads leave behind: of pages that were found clean, a worker of the
// kernel lets go, some time after it is told that the reads are over (block/bio.c,
// bio_check_pages_dirty, bio_dirty_fn).
func (h *queued) Release(ctx context.Context) error {
	if err := h.Calls.Wait(ctx); err != nil || h.releasing == nil {
		return err
	}
	for started := time.Now(); ; {
		left, large, err := h.releasing.Left()
		took := time.Since(started)
		switch {
		case err != nil || left == 0 || left == large && took > unmarked:
			return err
		case took > unseen:
			return fault.Ineffectivef("%d of %d pages are neither dirty nor free %v after the reads into them were over, so that their release was not seen", left, len(h.frames), unseen)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
}

// Close ends reads that are still under way.
func (h *queued) Close() error {
	var errs []error
	if h.device != nil {
		err := h.device.LetGo()
		if err == nil && h.Calls != nil {
			_ = h.Calls.Wait(context.Background()) // a failed read was reported where it mattered
		}
		errs = append(errs, err)
	}
	if h.queue != nil {
		errs = append(errs, h.queue.Close())
	}
	errs = append(errs, h.device.Close())
	h.device, h.queue = nil, nil
	return errors.Join(errs...)
}
