// Package v9fs is the holder 9p: it pins by O_DIRECT reads from a file of 9p into the mapping, which a
// server of the run's own leaves unanswered. It takes no device and no virtual machine.
//
// Since Linux 6.8 a direct read from 9p goes through netfs, which pins all of its pages before it asks for
// the first byte (fs/netfs/direct_read.c, netfs_extract_user_iter), and marks them dirty when the last has
// come, without their lock. Before, the client pinned those of virtio's transport alone (zc_request of
// net/9p/trans_virtio.c), and marked them dirty never; of any other it copies the answer through the mapping,
// so that the file system is told.
package v9fs

import (
	"context"
	"errors"

	"umemstress/probes/event"
	"umemstress/workload/holder"
	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/memory"
	"umemstress/workload/internal/p9d"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// Config is what the holder 9p is opened with.
type Config struct {
	TargetBytes int64 // that are to arrive
	StoreBytes  int   // that an operation of the first write stores
}

// Facts is what is known of the holder 9p.
func Facts() scenario.Holder {
	return scenario.Holder{
		Choice: scenario.Choice{Name: "9p", What: "the same from 9p, since Linux 6.8", Like: "fuse"},
		Does:   "a direct read from 9p", Once: true, Probed: event.Holder9P, PinsCounted: true, PinsAs: "dio",
	}
}

// reader keeps pages pinned with direct reads into them.
type reader struct {
	holder.ByCalls
	config Config
	server *p9d.Server
}

// Open serves a file and mounts it, where the kernel pins for what it reads from there.
func Open(ctx context.Context, c Config) (holder.Holder, error) {
	pins, err := pinsPages(ctx)
	if err == nil && !pins {
		err = fault.Lacksf("a direct read from 9p pins no page in this kernel: it copies what comes through the mapping, and the file system is told; boot Linux 6.8 or newer, or take --holder fuse")
	}
	if err != nil {
		return nil, err
	}
	return serve(ctx, c)
}

func serve(ctx context.Context, c Config) (*reader, error) {
	server, err := p9d.Serve(ctx, c.TargetBytes)
	if err != nil {
		return nil, err
	}
	return &reader{config: c, server: server}, nil
}

// Device is the kernel's 9p client.
func (h *reader) Device() record.Device {
	return record.Device{Name: "9p", Driver: "9p", Backend: "O_DIRECT read"}
}

// Content is nil: the run chooses the bytes.
func (h *reader) Content() []byte { return nil }

// Pin starts a read into the target, or into each GiB of it, and returns when the server has the first message
// of each in hand: the kernel pins the pages of a read before it sends that.
func (h *reader) Pin(ctx context.Context, source, target *memory.Region) error {
	from := holder.File{Handle: h.server.File, Name: "9p", Span: int64(len(target.Bytes)), Part: p9d.ReadBytes}
	return h.server.Explain(h.Read(ctx, from, source, target, func([]holder.Reader) (bool, error) {
		waiting, err := h.server.Waiting()
		return waiting >= from.Span, err
	}))
}

// Held says also when the server is no more.
func (h *reader) Held() error { return h.server.Explain(h.ByCalls.Held()) }

// Write has the server answer, when it is the second one.
func (h *reader) Write(ctx context.Context, step holder.Step) (record.Traffic, error) {
	if !step.Again {
		return h.Store(ctx, h.config.StoreBytes)
	}
	sent, err := h.LetGo(ctx, func() error { return h.server.LetGo(h.Source.Bytes) })
	return sent, h.server.Explain(err)
}

// Close ends reads that are still under way, and gives everything back.
func (h *reader) Close() error {
	if h.server == nil {
		return nil
	}
	failed := h.server.Fail()
	err := errors.Join(failed, h.Outlast("9p"), h.server.Close())
	h.server = nil
	return err
}
