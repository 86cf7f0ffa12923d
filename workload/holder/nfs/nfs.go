// Package nfs is the holder nfs: it pins by O_DIRECT reads from a file on NFS into the mapping,
// which a server of the run's own leaves unanswered.
//
// The kernel pins the pages by iov_iter_get_pages without FOLL_PIN (fs/nfs/direct.c,
// nfs_direct_read_schedule_iovec, 5.10 to 7.2): reclaim does not see it. It marks them dirty
// when the answer comes, in a worker of its own and without their lock.
package nfs

import (
	"context"
	"errors"

	"umemstress/probes/event"
	"umemstress/workload/holder"
	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/memory"
	"umemstress/workload/internal/module"
	"umemstress/workload/internal/nfsd"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// Facts is what is known of the holder nfs.
func Facts() scenario.Holder {
	return scenario.Holder{
		Choice: scenario.Choice{Name: "nfs", What: "an O_DIRECT read from NFS into the mapping, which the newest kernels pin like the oldest"},
		Does:   "a direct read from NFS", Once: true, Probed: event.HolderNFS,
		LeftClean: scenario.LeftCleanLarge, // fs/nfs/direct.c, nfs_direct_read_completion: if (!PageCompound(page)
	}
}

// reader keeps pages pinned with direct reads into them.
type reader struct {
	holder.ByCalls
	config  holder.Config
	modules *module.Loaded
	server  *nfsd.Server
	mounted *nfsd.Mounted
}

// Open loads the modules, serves a file and mounts it.
func Open(ctx context.Context, c holder.Config) (_ holder.Holder, err error) {
	if c.TargetBytes > holder.MaxCalls*holder.ReadBytes {
		return nil, fault.Usagef("--file-size %d: the holder nfs blocks a thread for each MiB; give at most %d MiB", c.TargetBytes, holder.MaxCalls*holder.ReadBytes>>20)
	}
	h := &reader{config: c}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.Close())
		}
	}()
	if h.modules, err = module.Load(ctx, nfsd.Modules()); err != nil {
		return nil, err
	}
	if h.server, err = nfsd.Serve(ctx, c.TargetBytes); err != nil {
		return nil, err
	}
	h.mounted, err = h.server.Mount()
	return h, err
}

// Device is the kernel's NFS client.
func (h *reader) Device() record.Device {
	return record.Device{Name: "nfs", Driver: "nfs", Backend: "O_DIRECT read"}
}

// Content is nil: the run chooses the bytes.
func (h *reader) Content() []byte { return nil }

// Pin starts a read into each part of the target and returns when the calls of all of them have
// arrived at the server: the kernel pins the pages before it sends a call.
func (h *reader) Pin(ctx context.Context, source, target *memory.Region) error {
	from := holder.File{Handle: h.mounted.File, Name: "NFS", Span: int64(len(target.Bytes))}
	return h.Read(ctx, from, source, target, func([]holder.Reader) (bool, error) {
		return h.server.Waiting() >= from.Span, nil
	})
}

// Write has the server answer, when it is the second one.
func (h *reader) Write(ctx context.Context, step holder.Step) (record.Traffic, error) {
	if !step.Again {
		return h.Store(ctx, h.config.StoreBytes)
	}
	return h.LetGo(ctx, func() error {
		h.server.LetGo(h.fill)
		return nil
	})
}

// fill has the source, over and over, from an offset on.
func (h *reader) fill(into []byte, at int64) {
	source := h.Source.Bytes
	for len(into) > 0 {
		took := copy(into, source[at%int64(len(source)):])
		into = into[took:]
		at += int64(took)
	}
}

// Close ends reads that are still under way, and gives everything back.
func (h *reader) Close() error {
	if h.server != nil {
		h.server.Fail()
	}
	late := h.Outlast("NFS")
	err := errors.Join(late, h.mounted.Close(), h.server.Close(), h.modules.Close())
	h.mounted, h.server, h.modules = nil, nil, nil
	return err
}
