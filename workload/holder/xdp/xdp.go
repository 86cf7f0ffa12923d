// Package xdp is the holder xdp: it pins by registering the mapping as the umem of an AF_XDP socket, and
// the kernel copies packets into it. It takes no network: the packets come over a pair of netdevs in a
// namespace of the run's own.
//
// The kernel pins the pages with FOLL_WRITE|FOLL_LONGTERM (net/xdp/xdp_umem.c, xdp_umem_pin_pages, 5.10 to
// 7.2), as it does for an RDMA memory region. It marks all of them dirty in a worker of its own, once
// nothing has the socket any more (xp_release_deferred, xdp_put_umem).
package xdp

import (
	"context"
	"errors"
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

// Facts is what is known of the holder xdp.
func Facts() scenario.Holder {
	return scenario.Holder{
		Choice: scenario.Choice{Name: "xdp", What: "the umem of an AF_XDP socket over the mapping, into which the kernel copies packets"},
		Does:   "packets of AF_XDP", OneWay: true, Remaps: true, Probed: event.HolderXDP, PinsCounted: true, PinsAs: "rdma",
	}
}

// Modules is that of the netdevs.
func Modules() module.Set {
	return module.Set{Top: "veth", Unload: []string{"veth"}, Busy: "veth", Options: "CONFIG_VETH"}
}

// packets hold the target by a umem.
type packets struct {
	modules *module.Loaded
	network *network
	socket  *socket

	source *memory.Region
	size   int64 // of the target in bytes: a strip may unmap it
	last   *memory.Region
}

// Open makes the netdevs and a socket.
func Open(ctx context.Context) (_ holder.Holder, err error) {
	h := &packets{}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.Close())
		}
	}()
	if h.modules, err = module.Load(ctx, Modules()); err != nil {
		return nil, err
	}
	if h.network, h.socket, err = connect(); err != nil {
		return nil, err
	}
	return h, nil
}

// Device is what the packets come over.
func (h *packets) Device() record.Device {
	return record.Device{Name: receiverName, Driver: "veth", Backend: "AF_XDP"}
}

// Content is nil: the run chooses the bytes.
func (h *packets) Content() []byte { return nil }

// Tally is zero: a umem is no call that lasts.
func (h *packets) Tally() holder.Tally { return holder.Tally{} }

// Held is true until release: a umem ends by nobody else's doing.
func (h *packets) Held() error { return nil }

// Pin registers the umem. The target's own mapping then shows the pages as well, as that of a program
// would.
func (h *packets) Pin(ctx context.Context, source, target *memory.Region) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	h.source, h.size = source, int64(len(target.Bytes))
	w, err := newWindow(target.Bytes)
	if err != nil {
		return err
	}
	if err := h.register(w); err != nil {
		return errors.Join(err, w.close())
	}
	if h.last, err = w.keepLast(); err != nil {
		return errors.Join(err, w.close())
	}
	// The kernel needs the window no longer, and a page that is mapped twice is not reclaimed.
	if err := w.close(); err != nil {
		return err
	}
	memory.Show(target.Bytes)
	return h.network.deliverTo(h.socket)
}

// register says whether the kernel refuses to pin memory of a file. Where it has pinned the page before it
// by then, it says that it wants memory, so that it is asked for the target alone; and the same of
// anonymous memory tells whether it is the file's that is refused.
func (h *packets) register(w *window) error {
	err := h.socket.register(w.memory.Bytes)
	if errors.Is(err, unix.ENOMEM) {
		if alone := h.socket.register(w.target()); errors.Is(alone, errNotPinned) {
			err = alone
		}
	}
	if !errors.Is(err, errNotPinned) {
		return err
	}
	anonymous, failed := memory.MapAnonymous(smallest)
	if failed != nil {
		return errors.Join(err, failed)
	}
	defer anonymous.Close()
	if failed := h.socket.register(anonymous.Bytes); failed != nil {
		return errors.Join(err, failed)
	}
	return fault.PinRefused(err)
}

// Write makes passes over the target, each from its end to its beginning: the header of a packet lies
// where the bytes of the one before it in the target belong, which come next.
func (h *packets) Write(ctx context.Context, step holder.Step) (record.Traffic, error) {
	started := time.Now()
	var done record.Traffic
	pass := holder.Pass{Size: payloadBytes, Target: h.size, Source: int64(len(h.source.Bytes))}
	var messages []holder.Message
	for m := range pass.Messages() {
		messages = append(messages, m)
	}
	for !step.Stop.Enough(int(done.Operations), len(messages), time.Now) {
		for i := len(messages) - 1; i >= 0; i-- {
			if err := ctx.Err(); err != nil {
				return done, err
			}
			m := messages[i]
			if err := h.bring(ctx, m); err != nil {
				return done, err
			}
			done.Operations++
			done.Bytes += uint64(m.Length)
			step.Progress.Add(1, uint64(m.Length))
		}
	}
	done.Seconds = time.Since(started).Seconds()
	return done, nil
}

// bring sends a packet, and returns when it has arrived: so they arrive in order.
func (h *packets) bring(ctx context.Context, m holder.Message) error {
	h.socket.offer(frameOf(m.To))
	if err := h.network.send(h.source.Bytes[m.From:][:m.Length]); err != nil {
		return err
	}
	return h.socket.arrived(ctx, headerBytes+m.Length)
}

// Release gives the socket up and waits for the kernel to let go of the umem.
func (h *packets) Release(ctx context.Context) error {
	if h.last == nil {
		return nil
	}
	watch, err := watchLast(h.last)
	if err != nil {
		return err
	}
	if err := errors.Join(h.network.disconnect(), h.socket.Close()); err != nil {
		return err
	}
	h.socket = nil
	return watch.wait(ctx)
}

// Close gives everything back, and waits for a umem that is still there.
func (h *packets) Close() error {
	var errs []error
	if h.socket != nil {
		errs = append(errs, h.Release(context.Background()))
	}
	errs = append(errs, h.network.Close(), h.socket.Close(), h.last.Close(), h.modules.Close())
	h.network, h.socket, h.last, h.modules = nil, nil, nil, nil
	return errors.Join(errs...)
}
