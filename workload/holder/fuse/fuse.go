// Package fuse is the holder fuse: it pins by O_DIRECT reads from a file of FUSE into the mapping,
// which a server of the run's own leaves unanswered. It takes no device.
//
// The kernel pins the pages before it asks the server (fs/fuse/file.c, fuse_get_user_pages), and marks
// them dirty in the thread that reads, before the read returns.
package fuse

import (
	"context"

	"umemstress/probes/event"
	"umemstress/workload/holder"
	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/fused"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// Facts is what is known of the holder fuse.
func Facts() scenario.Holder {
	return scenario.Holder{
		Choice: scenario.Choice{Name: "fuse", What: "an O_DIRECT read from FUSE into the mapping, which its server leaves unanswered"},
		Does:   "a direct read from FUSE", Once: true, Probed: event.HolderFUSE,
	}
}

// reader keeps pages pinned with direct reads into them.
type reader struct{ holder.ByLateReads }

// Open serves a file and mounts it.
func Open(ctx context.Context, c holder.Config) (holder.Holder, error) {
	if c.TargetBytes > holder.MaxCalls*fused.ReadBytes {
		return nil, fault.Usagef("--file-size %d: the holder fuse blocks a thread for each MiB; give at most %d MiB", c.TargetBytes, holder.MaxCalls*fused.ReadBytes>>20)
	}
	server, err := fused.Serve(ctx, c.TargetBytes)
	if err != nil {
		return nil, err
	}
	return &reader{holder.ByLateReads{
		Server: server, From: holder.File{Handle: server.File, Name: "FUSE"}, StoreBytes: c.StoreBytes,
	}}, nil
}

// Device is the kernel's FUSE.
func (h *reader) Device() record.Device {
	return record.Device{Name: "fuse", Driver: "fuse", Backend: "O_DIRECT read"}
}
