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

	"umemstress/probes/event"
	"umemstress/workload/holder"
	"umemstress/workload/internal/fault"
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
type reader struct{ holder.ByLateReads }

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
	return &reader{holder.ByLateReads{
		Server: server, From: holder.File{Handle: server.File, Name: "9p", Part: p9d.ReadBytes}, StoreBytes: c.StoreBytes,
	}}, nil
}

// Device is the kernel's 9p client.
func (h *reader) Device() record.Device {
	return record.Device{Name: "9p", Driver: "9p", Backend: "O_DIRECT read"}
}
