package workload

import (
	"umemstress/workload/child"
	"umemstress/workload/holder/umem/remote"
	"umemstress/workload/internal/block"
	"umemstress/workload/internal/fused"
	"umemstress/workload/internal/hog"
	"umemstress/workload/internal/keeper"
	"umemstress/workload/internal/lateshare"
	"umemstress/workload/internal/nfsd"
	"umemstress/workload/internal/p9d"
	"umemstress/workload/internal/promise"
	"umemstress/workload/mutation"
)

// RunChild has to be the first thing in the main function of every program that calls
// Run: a run starts copies of its own program, a memory hog for one, and in such a copy
// RunChild does not return.
func RunChild() {
	child.RunIfChild(map[string]child.Main{
		block.GuardChild:     block.GuardMain,
		block.RemoveChild:    block.RemoveMain,
		fused.Child:          fused.Main,
		hog.Child:            hog.Main,
		keeper.Child:         keeper.Main,
		nfsd.GuardChild:      nfsd.GuardMain,
		nfsd.StoreChild:      nfsd.StoreMain,
		lateshare.Child:      lateshare.Main,
		p9d.Child:            p9d.Main,
		mutation.ChangeChild: mutation.ChangeMain,
		remote.Child:         remote.ChildMain,
		promise.Child:        promise.Main,
	})
}
