package rdma

import (
	"errors"
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
