package end

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"umemstress/rdma"
)

// pieces are the memory regions that a mapping is registered as, one behind the other, all of the
// same size.
type pieces struct {
	bytes int64 // of each
	mrs   []*rdma.MR

	windows []*rdma.Window // over each, if the other end reaches them so
}

// register registers the mapping as n regions. After an error, too, close is to be called.
func (p *pieces) register(pd *rdma.PD, mapping []byte, n int, access rdma.Access) error {
	p.bytes = int64(len(mapping) / n)
	made, err := pd.RegisterMRs(slices.Collect(slices.Chunk(mapping[:int64(n)*p.bytes], int(p.bytes))), access)
	p.mrs = append(p.mrs, made...)
	if err != nil && n > 1 {
		return fmt.Errorf("region %d of %d: %w", len(made)+1, n, err)
	}
	return err
}

// region is what the other end is told of them.
func (p *pieces) region() Region {
	r := Region{PieceBytes: p.bytes}
	for i, mr := range p.mrs {
		key := mr.RKey()
		if i < len(p.windows) {
			key = p.windows[i].RKey()
		}
		r.Pieces = append(r.Pieces, Piece{Addr: mr.Addr(), RKey: key})
	}
	return r
}

// slice is a part of one piece: no message reaches over the end of one (holder.Pass).
func (p *pieces) slice(offset int64, length int) rdma.Slice {
	return rdma.Slice{MR: p.mrs[offset/p.bytes], Offset: int(offset % p.bytes), Length: length}
}

func (p *pieces) len() int64 { return p.bytes * int64(len(p.mrs)) }

// close deregisters all, by so many threads.
func (p *pieces) close(threads int) error {
	each := (len(p.mrs) + threads - 1) / threads
	shares := slices.Collect(slices.Chunk(p.mrs, max(1, each)))
	errs := make([]error, len(shares))
	var group sync.WaitGroup
	for i, share := range shares {
		group.Go(func() { errs[i] = rdma.CloseMRs(share) })
	}
	group.Wait()
	return errors.Join(errs...)
}
