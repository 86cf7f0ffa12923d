package rdma

import (
	"errors"
	"fmt"
	"math"

	"umemstress/rdma/internal/verbs"
)

// Slice is a part of a memory region, in bytes.
type Slice struct {
	MR     *MR
	Offset int
	Length int
}

// maxLength is of struct ib_uverbs_sge, ib_user_verbs.h, which has a __u32. What a
// message may have is the device's to say.
const maxLength = math.MaxUint32

var errOutside = errors.New("the local bytes lie outside of their memory region")

// check refuses a slice that is none of its region.
func (l *Slice) check() error {
	if l.MR == nil || l.Offset < 0 || l.Length < 0 || l.Offset > l.MR.Len() || l.Length > l.MR.Len()-l.Offset {
		return errOutside
	}
	if l.Length > maxLength {
		return limitError("bytes", l.Length, 0, maxLength)
	}
	return nil
}

// sge is what a backend calls the slice.
func (l *Slice) sge() verbs.SGE {
	return verbs.SGE{Addr: l.MR.Addr() + uint64(l.Offset), Length: uint32(l.Length), LKey: l.MR.LKey()}
}

// pieces is how many a request has at most.
func (c *QPConfig) pieces() int { return max(1, c.MaxPieces) }

// checkPieces refuses pieces that are none of their regions, or too many.
func checkPieces(first *Slice, more []Slice, most int) error {
	if 1+len(more) > most {
		return fmt.Errorf("it has %d pieces of memory, and the queue was made for %d", 1+len(more), most)
	}
	if err := first.check(); err != nil {
		return err
	}
	for i := range more {
		if err := more[i].check(); err != nil {
			return err
		}
	}
	return nil
}

// fillPieces puts the pieces of the i-th request where it has its place.
func fillPieces(all []verbs.SGE, i, most int, first *Slice, more []Slice) []verbs.SGE {
	mine := all[i*most:][:1+len(more)]
	mine[0] = first.sge()
	for j := range more {
		mine[1+j] = more[j].sge()
	}
	return mine
}
