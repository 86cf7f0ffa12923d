// Package vmci is the holder vmci: it pins by making queue pairs of VMCI over the mapping, as the
// process of a VMware virtual machine does, and has the kernel write into them through
// sockets of AF_VSOCK. It takes no such machine: the modules of the host's side are enough.
//
// The kernel pins the pages by get_user_pages_fast without FOLL_PIN and FOLL_LONGTERM
// (drivers/misc/vmw_vmci/vmci_queue_pair.c, qp_host_get_user_memory, 5.10 to 7.2): no kernel
// refuses it, reclaim does not see it, and it lasts for as long as one likes.
package vmci

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/probes/event"
	"umemstress/workload/holder"
	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/memory"
	"umemstress/workload/internal/module"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// pieceBytes is how much of the target a queue pair has at most. Both queues may have 64 MiB
// (VMCI_MAX_GUEST_QP_MEMORY), and the one that nothing is written to takes as much memory.
const pieceBytes = 16 << 20

// Config is what the holder vmci is opened with.
type Config struct {
	TargetBytes  int64
	MessageBytes int // that an operation writes
}

// Facts is what is known of the holder vmci.
func Facts() scenario.Holder {
	return scenario.Holder{
		Choice: scenario.Choice{Name: "vmci", What: "a VMCI queue pair over the mapping, which the newest kernels pin like the oldest"},
		Does:   "a VMCI queue pair", OneWay: true, Remaps: true, Probed: event.HolderVMCI,
	}
}

// Modules are those that the holder needs.
func Modules() module.Set {
	return module.Set{
		Top: "vmw_vsock_vmci_transport", Unload: []string{"vmw_vsock_vmci_transport", "vsock", "vmw_vmci"}, Busy: "vmw_vmci",
		Options: "CONFIG_VMWARE_VMCI and CONFIG_VMWARE_VMCI_VSOCKETS",
	}
}

// queues hold the target by queue pairs.
type queues struct {
	config   Config
	modules  *module.Loaded
	device   *device
	listener *listener

	source *memory.Region
	size   int64 // of the target in bytes: a strip may unmap it
	window *window
	pairs  []*pair
	at     int64 // of the target: where the next byte arrives
}

// Open loads the modules, opens the device and listens.
func Open(ctx context.Context, c Config) (_ holder.Holder, err error) {
	h := &queues{config: c}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.Close())
		}
	}()
	if h.modules, err = module.Load(ctx, Modules()); err != nil {
		return nil, err
	}
	if h.device, err = openDevice(); err != nil {
		return nil, err
	}
	if h.listener, err = listen(h.piece()); err != nil {
		return nil, err
	}
	return h, nil
}

// piece is how many bytes of the target a queue pair has; the last one may have less.
func (h *queues) piece() int { return int(min(pieceBytes, h.config.TargetBytes)) }

// Device is the module, as no device is there.
func (h *queues) Device() record.Device {
	return record.Device{Name: "vmci", Driver: "vmw_vmci", Backend: "AF_VSOCK"}
}

// Content is nil: the run chooses the bytes.
func (h *queues) Content() []byte { return nil }

// Tally is zero: a queue pair is no call that lasts.
func (h *queues) Tally() holder.Tally { return holder.Tally{} }

// Held is true until release: a queue pair ends by nobody else's doing.
func (h *queues) Held() error { return nil }

// Pin makes queue pairs over the target and connects them. The target's own mapping then shows
// the pages as well, as that of a program would.
func (h *queues) Pin(ctx context.Context, source, target *memory.Region) (err error) {
	h.source, h.size = source, int64(len(target.Bytes))
	piece := h.piece()
	if h.window, err = newWindow(piece, (len(target.Bytes)+piece-1)/piece); err != nil {
		return err
	}
	for rest := target.Bytes; len(rest) > 0; {
		part := rest[:min(piece, len(rest))]
		if err := h.add(ctx, part); err != nil {
			return err
		}
		rest = rest[len(part):]
	}
	memory.Show(target.Bytes)
	return h.window.close()
}

// add makes a queue pair over a part of the target.
func (h *queues) add(ctx context.Context, part []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	mem, err := h.window.over(part)
	if err != nil {
		return err
	}
	p := &pair{handle: handle{h.device.context, firstResource + uint32(len(h.pairs))}, socket: noSocket, bytes: len(part)}
	if err := h.device.allocate(p.handle, mem, p.bytes); err != nil {
		return h.refused(err, p)
	}
	h.pairs = append(h.pairs, p)
	if p.header, err = h.window.keepHeader(mem); err != nil {
		return err
	}
	p.socket, err = h.listener.connect(ctx, h.device, p.handle, p.bytes)
	return err
}

// refused says whether the kernel refused to pin memory of a file: it has one answer for that and
// for a want of memory, so that it is asked for the same of anonymous memory.
func (h *queues) refused(err error, p *pair) error {
	if !errors.Is(err, errorNoMemory) {
		return err
	}
	queue := p.bytes + unix.Getpagesize()
	anonymous, failed := memory.MapAnonymous(2 * queue)
	if failed != nil {
		return errors.Join(err, failed)
	}
	defer anonymous.Close()
	if h.device.allocate(p.handle, anonymous.Bytes, p.bytes) != nil {
		return err
	}
	return errors.Join(fault.PinRefused(err), h.device.detach(p.handle))
}

// Write makes passes over the target.
func (h *queues) Write(ctx context.Context, step holder.Step) (record.Traffic, error) {
	started := time.Now()
	var done record.Traffic
	for perPass := h.messages(); !step.Stop.Enough(int(done.Operations), perPass, time.Now); {
		if err := ctx.Err(); err != nil {
			return done, err
		}
		length := h.message(h.at)
		from := h.source.Bytes[h.at%int64(len(h.source.Bytes)):]
		if err := h.pairs[h.at/int64(h.piece())].send(from[:length]); err != nil {
			return done, err
		}
		h.at = (h.at + length) % h.size
		done.Operations++
		done.Bytes += uint64(length)
		step.Progress.Add(1, uint64(length))
	}
	done.Seconds = time.Since(started).Seconds()
	return done, nil
}

// message is how many bytes the message has that begins there in the target: it ends with its
// piece, and comes from one run of the source.
func (h *queues) message(at int64) int64 {
	source, piece := int64(len(h.source.Bytes)), int64(h.piece())
	return min(int64(h.config.MessageBytes), h.size-at, source-at%source, piece-at%piece)
}

// messages are those of a pass.
func (h *queues) messages() (number int) {
	for at := int64(0); at < h.size; at += h.message(at) {
		number++
	}
	return number
}

// Release detaches the queue pairs, which lets go of their pages.
func (h *queues) Release(context.Context) error {
	for len(h.pairs) > 0 {
		p := h.pairs[len(h.pairs)-1]
		if err := h.device.detach(p.handle); err != nil {
			return fmt.Errorf("release a queue pair of %d bytes: %w", p.bytes, err)
		}
		h.pairs = h.pairs[:len(h.pairs)-1]
		if err := p.close(); err != nil {
			return err
		}
	}
	return nil
}

// Close gives everything back; the kernel detaches what is still attached.
func (h *queues) Close() error {
	var errs []error
	errs = append(errs, h.device.Close())
	for _, p := range h.pairs {
		errs = append(errs, p.close())
	}
	errs = append(errs, h.listener.Close())
	if h.window != nil {
		errs = append(errs, h.window.close(), h.window.headers.Close())
	}
	errs = append(errs, h.modules.Close())
	h.pairs, h.device, h.listener, h.window, h.modules = nil, nil, nil, nil, nil
	return errors.Join(errs...)
}
