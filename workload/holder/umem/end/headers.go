package end

import (
	"os"
	"slices"

	"umemstress/rdma"
	"umemstress/workload/internal/memory"
)

// headers is where the headers of all datagrams go that are received, so that the region has their bytes alone. Nobody
// looks at them.
type headers struct {
	memory *memory.Region
	mr     *rdma.MR
}

func newHeaders(pd *rdma.PD) (h *headers, err error) {
	h = &headers{}
	if h.memory, err = memory.MapAnonymous(os.Getpagesize()); err != nil {
		return nil, err
	}
	h.mr, err = pd.RegisterMR(h.memory.Bytes, rdma.AccessLocalWrite)
	return h, err
}

// put has a receive begin with the place of the header.
func (h *headers) put(r *rdma.Receive) {
	if h == nil {
		return
	}
	r.More = slices.Insert(r.More, 0, r.Local)
	r.Local = rdma.Slice{MR: h.mr, Length: rdma.GRHBytes}
}

// close may be called at any time, after the context was closed.
func (h *headers) close() error {
	if h == nil {
		return nil
	}
	return h.memory.Close()
}

// receivePieces is how many pieces of memory a receive has: of a datagram, one more for its header.
func (c Config) receivePieces() int {
	if Datagrams(c.Connection) {
		return max(1, c.Pieces) + 1
	}
	return max(1, c.Pieces)
}
