package xdp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/memory"
)

// The frames of a umem may begin anywhere (XDP_UMEM_UNALIGNED_CHUNK_FLAG), and the packet lies behind
// their headroom (XDP_PACKET_HEADROOM, include/uapi/linux/bpf.h) with its header. So that the bytes that
// it carries cover the target from its first to its last, there is a page before and one behind it:
//
//	page | target | page
const (
	frameBytes   = 4096 // of a frame: a page, the most there may be
	headroom     = 256
	headerBytes  = 14   // of Ethernet
	payloadBytes = 2048 // the most that fits a frame and divides a page
	smallest     = 2 * frameBytes
)

// frameOf is the frame in the umem whose packet's payload begins there in the target.
func frameOf(target int64) uint64 {
	return uint64(frameBytes + target - headroom - headerBytes)
}

// window is the memory that is registered.
type window struct{ memory *memory.Region }

func newWindow(target []byte) (*window, error) {
	mem, err := memory.MapAnonymous(frameBytes + len(target) + frameBytes)
	if err != nil {
		return nil, err
	}
	if err := memory.MapAgain(target, mem.Bytes[frameBytes:][:len(target)]); err != nil {
		return nil, errors.Join(fmt.Errorf("map %d bytes of the file a second time: mremap: %w", len(target), err), mem.Close())
	}
	return &window{mem}, nil
}

// keepLast moves the page behind the target out of the window, so that it stays mapped.
func (w *window) keepLast() (*memory.Region, error) {
	kept, err := memory.MapAnonymous(frameBytes)
	if err != nil {
		return nil, err
	}
	mem := w.memory.Bytes
	if err := memory.Remap(mem[len(mem)-frameBytes:], frameBytes, kept.Bytes); err != nil {
		return nil, errors.Join(fmt.Errorf("keep the last page of the umem: mremap: %w", err), kept.Close())
	}
	return kept, nil
}

// target is the target's part of the window.
func (w *window) target() []byte { return w.memory.Bytes[frameBytes : len(w.memory.Bytes)-frameBytes] }

func (w *window) close() error { return w.memory.Close() }

// lastPage is watched for the release: the kernel marks the pages of a umem dirty one after the other,
// whatever memory they are (mm/gup.c, unpin_user_pages_dirty_lock), and the one behind the target last.
type lastPage struct{ *memory.Releasing }

func watchLast(last *memory.Region) (lastPage, error) {
	frames, err := memory.Frames(last.Bytes)
	if err != nil {
		return lastPage{}, err
	}
	watch, err := memory.WatchRelease(frames)
	if err != nil {
		return lastPage{}, err
	}
	if left, _, err := watch.Left(); err != nil || left != 1 {
		return lastPage{}, errors.Join(err, fmt.Errorf("the last page of the umem is dirty before its release, which nobody could see so"))
	}
	return lastPage{watch}, nil
}

// unseen bounds how long a worker of the kernel may take to let go of a umem.
const unseen = 10 * time.Second

func (l lastPage) wait(ctx context.Context) error {
	for started := time.Now(); ; {
		left, _, err := l.Left()
		if err != nil || left == 0 {
			return err
		}
		if time.Since(started) > unseen {
			return fault.Ineffectivef("the kernel has not let go of the umem %v after the socket was closed: somebody else has it, such as a program that was forked meanwhile", unseen)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
}
