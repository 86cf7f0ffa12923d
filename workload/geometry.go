package workload

import (
	"math"

	"umemstress/workload/folio"
	"umemstress/workload/internal/fault"
	"umemstress/workload/mutation"
	"umemstress/workload/scenario"
)

// Where a region is a part of its file and nobody says which, it begins at an odd page and
// ends at one, so that the largest folios and the smallest of two pages hold both of it and
// of what lies beside it; and the file has room for the largest folios behind it.
const (
	partOffset = 129 * 4096
	partBehind = 2 << 20
)

// geometry is where the region lies in its file, and how long that is, in bytes.
func (o Options) geometry() (offset, length int64) {
	folios, _ := scenario.Find(folio.Kinds(), o.Scenario.Folios)
	mutates, _ := scenario.Find(mutation.Kinds(), o.Scenario.Mutation)
	part := folios.Part || mutates.Beside
	offset = max(o.FileOffset, 0)
	if part && o.FileOffset < 0 {
		offset = partOffset
	}
	length = o.FileLength
	if end := offset + o.FileBytes; length == 0 {
		length = end
		if part {
			length = (end+partBehind-1)&^(partBehind-1) + partBehind
		}
	}
	return offset, length
}

// validateGeometry refuses a region that no mapping could have, or beyond its file.
func (o Options) validateGeometry(pageSize int64) error {
	if most := math.MaxInt64 - o.FileBytes - 2*partBehind; o.FileOffset > most {
		return fault.Usagef("--file-offset %d: no file is that long; give at most %d", o.FileOffset, most&^(pageSize-1))
	}
	offset, length := o.geometry()
	switch {
	case offset%pageSize != 0:
		return fault.Usagef("--file-offset %d: give a multiple of the page size, %d bytes: a mapping begins at a page", offset, pageSize)
	case length%pageSize != 0:
		return fault.Usagef("--file-length %d: give a multiple of the page size, %d bytes", length, pageSize)
	case o.FileLength < 0 || length < offset+o.FileBytes:
		return fault.Usagef("--file-length %d: the region ends at %d, beyond the file; give at least as much", length, offset+o.FileBytes)
	}
	return nil
}
