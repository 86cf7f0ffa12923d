// Package fuse is the holder fuse: it pins by O_DIRECT reads from a file of FUSE into the mapping,
// which a server of the run's own leaves unanswered. It takes no device.
//
// The kernel pins the pages before it asks the server (fs/fuse/file.c, fuse_get_user_pages), and marks
// them dirty in the thread that reads, before the read returns.
package fuse

import (
	"context"
	"errors"

	"umemstress/probes/event"
	"umemstress/workload/holder"
	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/fused"
	"umemstress/workload/internal/memory"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// Config is what the holder fuse is opened with.
type Config struct {
	TargetBytes int64 // that are to arrive
	StoreBytes  int   // that an operation of the first write stores
}

// Facts is what is known of the holder fuse.
func Facts() scenario.Holder {
	return scenario.Holder{
		Choice: scenario.Choice{Name: "fuse", What: "an O_DIRECT read from FUSE into the mapping, which its server leaves unanswered"},
		Does:   "a direct read from FUSE", Once: true, Probed: event.HolderFUSE,
	}
}

// reader keeps pages pinned with direct reads into them.
type reader struct {
	holder.ByCalls
	config Config
	server *fused.Server
}

// Open serves a file and mounts it.
func Open(ctx context.Context, c Config) (holder.Holder, error) {
	if c.TargetBytes > holder.MaxCalls*fused.ReadBytes {
		return nil, fault.Usagef("--file-size %d: the holder fuse blocks a thread for each MiB; give at most %d MiB", c.TargetBytes, holder.MaxCalls*fused.ReadBytes>>20)
	}
	server, err := fused.Serve(ctx, c.TargetBytes)
	if err != nil {
		return nil, err
	}
	return &reader{config: c, server: server}, nil
}

// Device is the kernel's FUSE.
func (h *reader) Device() record.Device {
	return record.Device{Name: "fuse", Driver: "fuse", Backend: "O_DIRECT read"}
}

// Content is nil: the run chooses the bytes.
func (h *reader) Content() []byte { return nil }

// Pin starts a read into each part of the target and returns when the server has all of them in hand:
// the kernel pins the pages of a request before it sends it.
func (h *reader) Pin(ctx context.Context, source, target *memory.Region) error {
	from := holder.File{Handle: h.server.File, Name: "FUSE", Span: int64(len(target.Bytes))}
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
	err := errors.Join(failed, h.Outlast("FUSE"), h.server.Close())
	h.server = nil
	return err
}
