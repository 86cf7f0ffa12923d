package workload

import (
	"context"

	"umemstress/rdma"
	"umemstress/workload/filesystem"
	"umemstress/workload/folio"
	"umemstress/workload/holder"
	"umemstress/workload/holder/aio"
	"umemstress/workload/holder/dio"
	"umemstress/workload/holder/fuse"
	"umemstress/workload/holder/nfs"
	"umemstress/workload/holder/umem"
	"umemstress/workload/holder/uring"
	"umemstress/workload/holder/v4l2"
	"umemstress/workload/holder/v9fs"
	"umemstress/workload/holder/vmci"
	"umemstress/workload/holder/vmwritev"
	"umemstress/workload/holder/xdp"
	"umemstress/workload/mutation"
	"umemstress/workload/scenario"
	"umemstress/workload/strip"
)

// holderKind is a holder that a scenario can name, and how a run opens it.
type holderKind struct {
	scenario.Holder
	open    func(ctx context.Context, o Options) (holder.Holder, error) // makes what the holder needs; nothing is pinned yet
	arrival func(o Options) string                                      // how the bytes arrive; nil: as the facts say
}

// rdmaBackends are the ways to an RDMA device.
func rdmaBackends() (names []string) {
	for _, b := range rdma.Backends() {
		names = append(names, string(b))
	}
	return names
}

// rdmaArrival says how bytes arrive with the holder rdma.
func rdmaArrival(o Options) string {
	if o.Access == AccessRead {
		return umem.StoresArrive
	}
	return umem.Arrival(o.Verb)
}

// holderKinds are all holders. Adding one takes a folder and an entry here.
func holderKinds() []holderKind {
	return []holderKind{
		{Holder: umem.Facts(), arrival: rdmaArrival, open: func(ctx context.Context, o Options) (holder.Holder, error) {
			return umem.Open(ctx, umem.Config{
				Backend: o.Backend, Device: o.Device, Peer: o.Peer, Caller: o.Caller,
				Path: rdma.PathConfig{
					Port: o.Port, GIDIndex: o.GIDIndex, MTU: o.MTU,
					ServiceLevel: o.ServiceLevel, TrafficClass: o.TrafficClass, PKeyIndex: o.PKeyIndex, Timeout: o.Timeout,
				},
				Connection: o.Connection, Verb: o.Verb, Regions: o.Regions, OnDemand: o.OnDemand, Rereg: o.Rereg, Windows: o.Windows, ReadOnly: o.Access == AccessRead, HugePages: o.HugePages, Release: o.Release, QueuePairs: o.QueuePairs, SRQ: o.SRQ, Depth: o.TxDepth, Reads: o.Reads, Events: o.Events, Bidirectional: o.Bidirectional,
				MessageBytes: o.MessageBytes, Pieces: o.Pieces, Inline: o.Inline, RateLimit: o.RateLimit, Manager: o.Manager,
			})
		}},
		{Holder: dio.Facts(), open: func(ctx context.Context, o Options) (holder.Holder, error) {
			return dio.Open(ctx, dio.Config{
				TargetBytes: o.FileBytes, SourceBytes: o.AnonBytes, StoreBytes: o.MessageBytes,
				Source: o.DIOSource, Dir: o.scratchDir(),
			})
		}},
		{Holder: vmwritev.Facts(), open: func(_ context.Context, o Options) (holder.Holder, error) {
			return vmwritev.Open(holder.Config{TargetBytes: o.FileBytes, StoreBytes: o.MessageBytes})
		}},
		{Holder: vmci.Facts(), open: func(ctx context.Context, o Options) (holder.Holder, error) {
			return vmci.Open(ctx, vmci.Config{TargetBytes: o.FileBytes, MessageBytes: o.MessageBytes})
		}},
		{Holder: nfs.Facts(), open: func(ctx context.Context, o Options) (holder.Holder, error) {
			return nfs.Open(ctx, holder.Config{TargetBytes: o.FileBytes, StoreBytes: o.MessageBytes})
		}},
		{Holder: aio.Facts(), open: func(ctx context.Context, o Options) (holder.Holder, error) {
			return aio.Open(ctx, aio.Config{TargetBytes: o.FileBytes, StoreBytes: o.MessageBytes, Dir: o.scratchDir()})
		}},
		{Holder: uring.Facts(), open: func(ctx context.Context, o Options) (holder.Holder, error) {
			return uring.Open(ctx, uring.Config{TargetBytes: o.FileBytes, StoreBytes: o.MessageBytes, Dir: o.scratchDir()})
		}},
		{Holder: fuse.Facts(), open: func(ctx context.Context, o Options) (holder.Holder, error) {
			return fuse.Open(ctx, holder.Config{TargetBytes: o.FileBytes, StoreBytes: o.MessageBytes})
		}},
		{Holder: v9fs.Facts(), open: func(ctx context.Context, o Options) (holder.Holder, error) {
			return v9fs.Open(ctx, holder.Config{TargetBytes: o.FileBytes, StoreBytes: o.MessageBytes})
		}},
		{Holder: v4l2.Facts(), open: func(ctx context.Context, o Options) (holder.Holder, error) {
			return v4l2.Open(ctx, v4l2.Config{TargetBytes: o.FileBytes, StoreBytes: o.MessageBytes, Device: o.V4L2Device})
		}},
		{Holder: xdp.Facts(), open: func(ctx context.Context, _ Options) (holder.Holder, error) {
			return xdp.Open(ctx)
		}},
	}
}

// Scenarios are the tables of all that a scenario can name.
func Scenarios() scenario.Catalogue {
	var t scenario.Catalogue
	for _, k := range holderKinds() {
		t.Holders = append(t.Holders, k.Holder)
	}
	for _, k := range filesystem.Kinds() {
		t.Filesystems = append(t.Filesystems, k.Filesystem)
	}
	for _, k := range strip.Kinds() {
		t.Strips = append(t.Strips, k.Strip)
	}
	for _, k := range mutation.Kinds() {
		t.Mutations = append(t.Mutations, k.Mutation)
	}
	for _, k := range folio.Kinds() {
		t.Folios = append(t.Folios, k.Folios)
	}
	return t
}
