package workload

import (
	"context"
)

// holderKind is a holder that a scenario can name, and how a run opens it.
type holderKind struct {
	Holder
	open func(ctx context.Context, o Options) (holder, error) // makes what the holder needs; nothing is pinned yet
}

// holderKinds are all holders. Adding one takes a folder and an entry here.
func holderKinds() []holderKind {
	return []holderKind{
		{umemFacts(), func(_ context.Context, o Options) (holder, error) {
			return openUmem(umemConfig{
				Device: o.Device, Port: o.Port, GIDIndex: o.GIDIndex,
				QueuePairs: o.QueuePairs, MessageBytes: o.MessageBytes, Bidirectional: o.Bidirectional,
			})
		}},
		{dioFacts(), func(ctx context.Context, o Options) (holder, error) {
			return openDIO(ctx, dioConfig{
				TargetBytes: o.FileBytes, SourceBytes: o.AnonBytes, StoreBytes: o.MessageBytes,
				Source: o.DIOSource, Dir: o.scratchDir(), Delay: o.dioDelay,
			})
		}},
		{vmwritevFacts(), func(_ context.Context, o Options) (holder, error) {
			return openVMWritev(vmwritevConfig{TargetBytes: o.FileBytes, StoreBytes: o.MessageBytes})
		}},
	}
}

// Scenarios are the tables of all that a scenario can name.
func Scenarios() Catalogue {
	var t Catalogue
	for _, k := range holderKinds() {
		t.Holders = append(t.Holders, k.Holder)
	}
	for _, k := range filesystems() {
		t.Filesystems = append(t.Filesystems, k.Filesystem)
	}
	for _, k := range stripKinds() {
		t.Strips = append(t.Strips, k.Strip)
	}
	for _, k := range mutationKinds() {
		t.Mutations = append(t.Mutations, k.Mutation)
	}
	return t
}
