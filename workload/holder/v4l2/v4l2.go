// Package v4l2 is the holder v4l2: it pins by giving a capture device of V4L2 the mapping's pages
// as buffers (V4L2_MEMORY_USERPTR), and the device writes its pictures into them. It takes no
// such device: the kernel has a driver for tests, vivid, which draws pictures itself.
//
// The kernel pins a buffer's pages when it is queued (get_vaddr_frames by way of
// vb2_create_framevec, drivers/media/common/videobuf2/videobuf2-memops.c), and for as long as the queue has
// it: a buffer that comes back with a picture stays pinned. It marks all of the pages dirty when
// the queue lets go of its buffers (videobuf2-vmalloc.c, vb2_vmalloc_put_userptr; 5.10 and 6.1).
package v4l2

import (
	"context"
	"errors"
	"fmt"
	"time"

	"umemstress/probes/event"
	"umemstress/workload/holder"
	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/memory"
	"umemstress/workload/internal/module"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// Config is what the holder v4l2 is opened with.
type Config struct {
	TargetBytes int64  // that are to arrive
	StoreBytes  int    // that an operation of the first write stores
	Device      string // a node of a capture device, such as /dev/video0; empty: one of vivid
}

// Facts is what is known of the holder v4l2.
func Facts() scenario.Holder {
	return scenario.Holder{
		Choice: scenario.Choice{Name: "v4l2", What: "buffers of a V4L2 capture device over the mapping, held for as long as one likes"},
		Does:   "a capture device's pictures", Once: true, Remaps: true, Probed: event.HolderV4L2, PinsCounted: true,
	}
}

// capture holds the target by buffers of a device.
type capture struct {
	config  Config
	modules *module.Loaded
	device  *device

	source, target *memory.Region
	buffers        []*piece
	spare          *memory.Region // a buffer that the target has no part in
	frames         frames
	first          []uint64       // sums of the pages, as the first write left them
	content        *memory.Region // what the device wrote; nil: it has not
}

// Open finds the device, and has it make pictures that cover the target with the buffers that a
// device can have.
func Open(ctx context.Context, c Config) (_ holder.Holder, err error) {
	h := &capture{config: c}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.Close())
		}
	}()
	if c.Device != "" {
		h.device, err = openDevice(node{path: c.Device, given: true}, c.TargetBytes)
		return h, err
	}
	for deadline := time.Now().Add(unloadBound); ; {
		if h.modules, err = module.Load(ctx, Modules()); err != nil {
			return nil, err
		}
		h.device, err = openVivid(sysfs, c.TargetBytes)
		if err == nil || loaded(sysfs) || time.Now().After(deadline) {
			return h, err
		}
		// A run that was killed just before had its modules unloaded meanwhile.
		if err := h.modules.Close(); err != nil {
			return nil, err
		}
	}
}

// unloadBound is how long modules take that are being unloaded.
const unloadBound = 3 * time.Second

// Device is the node.
func (h *capture) Device() record.Device {
	return record.Device{Name: h.device.name(), Driver: h.device.driver, Backend: "USERPTR"}
}

// Content is what the device wrote, once it has.
func (h *capture) Content() []byte {
	if h.content == nil {
		return nil
	}
	return h.content.Bytes
}

// Tally is zero: a buffer is no call that lasts.
func (h *capture) Tally() holder.Tally { return holder.Tally{} }

// Held is true for as long as the device is there.
func (h *capture) Held() error {
	if err := h.device.present(); err != nil {
		return fault.Ineffectivef("%s is gone, and its buffers with it: %w", h.device.name(), err)
	}
	return nil
}

// Pin queues buffers over the target, which pins them. No picture comes before the stream is
// switched on.
func (h *capture) Pin(ctx context.Context, source, target *memory.Region) (err error) {
	h.source, h.target = source, target
	if h.spare, err = memory.MapAnonymous(h.device.bufferBytes()); err != nil {
		return err
	}
	var windows []*memory.Region
	defer func() {
		// The kernel needs them no longer, and a page that is mapped twice is not reclaimed.
		for _, w := range windows {
			err = errors.Join(err, w.Close())
		}
	}()
	for rest := target.Bytes; len(rest) > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		part := rest[:min(h.device.wholeBytes(), len(rest))]
		window, err := newWindow(part, h.device.bufferBytes())
		if err != nil {
			return err
		}
		windows = append(windows, window)
		p := &piece{index: uint32(len(h.buffers)), address: memory.AddressOf(window.Bytes), bytes: len(part)}
		if err := h.queue(p); err != nil {
			return err
		}
		h.buffers = append(h.buffers, p)
		rest = rest[len(part):]
	}
	if err := h.queueSpares(); err != nil {
		return err
	}
	h.frames, err = keepFrames(target.Bytes)
	return err
}

// newWindow maps a part of the target, and anonymous memory behind it where the rest of the
// picture arrives, which is no whole page: all that is the target's is written.
func newWindow(part []byte, bytes int) (*memory.Region, error) {
	window, err := memory.MapAnonymous(bytes)
	if err != nil {
		return nil, err
	}
	if err := memory.MapAgain(part, window.Bytes[:len(part)]); err != nil {
		return nil, errors.Join(fmt.Errorf("map %d bytes of the file a second time: mremap: %w", len(part), err), window.Close())
	}
	return window, nil
}

// queue queues a buffer over a part of the target for the first time.
func (h *capture) queue(p *piece) error {
	err := h.device.queue(p.index, p.address)
	if err == nil {
		return nil
	}
	// The same of anonymous memory tells whether it is the memory of a file that is refused.
	if h.device.queue(p.index, memory.AddressOf(h.spare.Bytes)) == nil {
		return fault.PinRefused(err)
	}
	return h.device.wrongf("%w; it may want memory in one piece (dma-contig), which neither a file's nor other memory is; name another device", err)
}

// queueSpares queues what is left of the buffers: some devices want several before they begin, and
// some keep the last one.
func (h *capture) queueSpares() error {
	for index := uint32(len(h.buffers)); index < h.device.buffers; index++ {
		if err := h.device.queue(index, memory.AddressOf(h.spare.Bytes)); err != nil {
			return err
		}
	}
	return nil
}

// Write stores through the mapping, and then has the device write.
func (h *capture) Write(ctx context.Context, step holder.Step) (record.Traffic, error) {
	if !step.Again {
		done, err := holder.StoreThrough(ctx, h.source, h.target, h.config.StoreBytes)
		h.first = sums(h.source.Bytes) // which repeats over the target
		return done, err
	}
	started := time.Now()
	done, err := h.stream(ctx)
	done.Seconds = time.Since(started).Seconds()
	if err != nil {
		return done, err
	}
	return done, h.learn()
}

// stream has a picture arrive in each buffer, and nothing after that.
func (h *capture) stream(ctx context.Context) (done record.Traffic, err error) {
	if err := h.device.start(); err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, h.device.stop()) }()
	for done.Operations < uint64(len(h.buffers)) {
		b, err := h.device.dequeue(ctx)
		if err != nil {
			return done, err
		}
		if int(b.Index) >= len(h.buffers) {
			continue
		}
		p := h.buffers[b.Index]
		if b.Flags&bufFlagError == 0 && int(b.BytesUsed) >= p.bytes {
			done.Operations++
			done.Bytes += uint64(p.bytes)
			continue
		}
		if p.failed++; p.failed > failures {
			return done, fmt.Errorf("%s: %d pictures in a row had errors or less than %d bytes", h.device.name(), p.failed, p.bytes)
		}
		if err := h.device.queue(p.index, p.address); err != nil { // the same address stays pinned
			return done, err
		}
	}
	return done, nil
}

// failures are how many pictures of a buffer may be damaged.
const failures = 10

// learn reads what the device wrote from the very pages that it wrote into, and makes sure that
// it wrote all of them.
func (h *capture) learn() (err error) {
	kept := h.frames
	h.frames = nil
	if h.content, err = kept.read(); err != nil {
		return err
	}
	untouched, now := 0, sums(h.content.Bytes)
	for i, sum := range now {
		if len(h.first) > 0 && sum == h.first[i%len(h.first)] {
			untouched++
		}
	}
	if untouched > 0 {
		return fault.Ineffectivef("%s says that its pictures have arrived, and %d of %d pages are as they were before", h.device.name(), untouched, len(now))
	}
	return nil
}

// Release has the queue let go of its buffers.
func (h *capture) Release(context.Context) error { return h.device.release() }

// Close gives everything back; the kernel lets go of the buffers that the queue still has.
func (h *capture) Close() error {
	err := errors.Join(h.device.Close(), h.frames.close(), h.spare.Close(), h.content.Close(), h.modules.Close())
	h.device, h.frames, h.spare, h.modules = nil, nil, nil, nil
	return err
}
