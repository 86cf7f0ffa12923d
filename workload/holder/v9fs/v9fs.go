// Package v9fs is the holder 9p: it pins by O_DIRECT reads from a file of 9p into the mapping, which a
// server leaves unanswered: one of the run's own, which takes no device and no virtual machine, or, where the kernel
// copies what that brings, the one that this virtual machine's monitor shares.
//
// Since Linux 6.8 a direct read from 9p goes through netfs, which pins all of its pages before it asks for
// the first byte (fs/netfs/direct_read.c, netfs_extract_user_iter), and marks them dirty when the last has
// come, without their lock. Before, the client pinned those of virtio's transport alone (zc_request of
// net/9p/trans_virtio.c), by a plain reference, and marked them dirty never; of any other it copies the answer through the mapping,
// so that the file system is told.
package v9fs

import (
	"context"

	"umemstress/probes/event"
	"umemstress/workload/holder"
	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/lateshare"
	"umemstress/workload/internal/p9d"
	"umemstress/workload/late"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// Facts is what is known of the holder 9p, where it reads through netfs.
func Facts() scenario.Holder {
	return scenario.Holder{
		Choice: scenario.Choice{Name: "9p", What: "the same from 9p", Like: "fuse"},
		Does:   "a direct read from 9p", Once: true, Probed: event.Holder9P, PinsCounted: true, PinsAs: "dio",
	}
}

// reader keeps pages pinned with direct reads into them.
type reader struct{ holder.ByLateReads }

// Open serves a file and mounts it, where the kernel pins for what it reads from there.
func Open(ctx context.Context, c holder.Config) (holder.Holder, error) {
	pins, err := pinsPages(ctx, ownServer)
	switch {
	case err != nil:
		return nil, err
	case pins:
		return ownServer(ctx, c)
	case !late.There("/sys"):
		return nil, fault.Lacksf("a direct read from 9p pins no page in this kernel but over virtio, and this machine has no share of its monitor's that is tagged %s: boot Linux 6.8 or newer, use umemstress lab run where it is root and has /dev/fuse, share what umemstress late-reads serves, or take --holder fuse", late.Tag)
	case c.TargetBytes > lateshare.MaxReads*lateshare.ReadBytes:
		const most = lateshare.MaxReads * lateshare.ReadBytes
		return nil, fault.TooMuch(most, fault.Usagef("--file-size %d: over virtio the holder 9p blocks a thread of the virtual machine's monitor for each %d KiB; give at most %d MiB", c.TargetBytes, lateshare.ReadBytes>>10, most>>20))
	}
	pins, err = pinsPages(ctx, shared)
	if err == nil && !pins {
		err = fault.Lacksf("a direct read from 9p pins no page in this kernel, over virtio either: it copies what comes through the mapping, and the file system is told; boot another one, or take --holder fuse")
	}
	if err != nil {
		return nil, err
	}
	return shared(ctx, c)
}

// ownServer reads from a server of the run's own.
func ownServer(ctx context.Context, c holder.Config) (holder.Holder, error) {
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

// sharedReader reads from this machine's monitor.
type sharedReader struct{ reader }

func shared(ctx context.Context, c holder.Config) (holder.Holder, error) {
	server, err := lateshare.Serve(ctx, c.TargetBytes)
	if err != nil {
		return nil, err
	}
	return &sharedReader{reader{holder.ByLateReads{
		Server: server, From: holder.File{Handle: server.File, Name: "9p", Part: lateshare.ReadBytes}, StoreBytes: c.StoreBytes,
	}}}, nil
}

// Device is the kernel's 9p client with the transport virtio.
func (h *sharedReader) Device() record.Device {
	return record.Device{Name: late.Tag, Driver: "9pnet_virtio", Backend: "O_DIRECT read"}
}

// Adjust tells of zc_request, which pins by iov_iter_get_pages without FOLL_PIN, and lets go by put_page alone.
func (h *sharedReader) Adjust(f *scenario.Facts) {
	f.PinsCounted, f.LeftClean = false, scenario.LeftCleanAll
}
