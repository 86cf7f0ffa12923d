package danger

import (
	"errors"
	"io/fs"

	"github.com/cilium/ebpf/btf"

	"umemstress/rdma"
)

// RxeAtomic is the name of the danger that soft-RoCE sends the answer to an atomic operation twice.
const RxeAtomic = "rxe-atomic"

// answers is the struct of what rdma_rxe keeps of the READs and atomic operations that it has answered
// (drivers/infiniband/sw/rxe/rxe_verbs.h).
const answers = "resp_res"

// rxeAtomic tells of a device's driver whether it keeps the packet that answered an atomic operation, to
// send it once more when the request comes again. That packet has been delivered by then, or waits to be
// looked at (docs/findings/rxe-atomic.md). Since 6.0 it keeps the value and makes another packet.
func rxeAtomic() Danger {
	kept, err := keepsAnswer(btf.NewCache())
	return Danger{
		Name: RxeAtomic, Present: kept, Unknown: err,
		question: "whether this " + rdma.DriverRxe + " sends the answer to an atomic operation twice, of which the kernel dies,",
		Effect:   "this " + rdma.DriverRxe + " sends the answer to an atomic operation twice, of which the kernel dies (it lacks dc1848388137)",
	}
}

// keepsAnswer looks at the types of rdma_rxe, or at the kernel's where it is built into that.
func keepsAnswer(cache *btf.Cache) (bool, error) {
	types, err := cache.Module(rdma.DriverRxe)
	if errors.Is(err, fs.ErrNotExist) {
		types, err = cache.Kernel()
	}
	if err != nil {
		return false, err
	}
	var found *btf.Struct
	if err := types.TypeByName(answers, &found); err != nil {
		return false, errNoTypes
	}
	return hasPacket(found)
}

var (
	errNoTypes      = errors.New("the kernel tells no types (BTF) of " + rdma.DriverRxe)
	errOtherAnswers = errors.New("struct " + answers + " has no atomic")
)

// hasPacket says whether a resp_res has atomic.skb, of which atomic is a struct in a union without a name.
func hasPacket(answer *btf.Struct) (bool, error) {
	for _, m := range answer.Members {
		union, ok := m.Type.(*btf.Union)
		if !ok {
			continue
		}
		for _, m := range union.Members {
			atomic, ok := m.Type.(*btf.Struct)
			if !ok || m.Name != "atomic" {
				continue
			}
			for _, m := range atomic.Members {
				if m.Name == "skb" {
					return true, nil
				}
			}
			return false, nil
		}
	}
	return false, errOtherAnswers
}
