package mutation

import (
	"fmt"
	"os"

	"umemstress/workload/internal/fault"
)

// The mutations in this file touch no byte of the region. What reaches it is the folio that
// its bytes and those beside it have in common: truncation of a part zeroes that part and
// splits the folio, and where a pin forbids the split, takes the whole of it from the file
// (mm/truncate.c, truncate_inode_partial_folio).

// besideInFolio changes the pages just before and just behind the region that are in a
// folio with it; one of the two has to be there.
func besideInFolio(c change) func(Target) (*os.File, error) {
	return func(t Target) (*os.File, error) {
		if err := t.sharesFolio(); err != nil {
			return nil, err
		}
		if t.Folios.Before() > 0 {
			if err := t.make(c, t.Region.Offset-int64(t.Known.PageSize)); err != nil {
				return nil, err
			}
		}
		if t.Folios.After() > 0 {
			return nil, t.make(c, t.Region.End())
		}
		return nil, nil
	}
}

// make makes the change to one page.
func (t Target) make(c change, offset int64) error {
	apply := c.apply
	if t.ByChild {
		apply = c.applyByChild
	}
	if err := apply(t.File.Handle, offset, int64(t.Known.PageSize)); err != nil {
		return fmt.Errorf("%s beside the region, at %d: %w", c, offset, err)
	}
	return nil
}

// sharesFolio says with an ineffective error that the region's folios hold nothing else.
func (t Target) sharesFolio() error {
	if t.Folios == nil {
		return fault.Ineffectivef("whether the bytes beside the region are in a folio with it cannot be seen: channels.folios says why")
	}
	if t.Folios.Before() == 0 && t.Folios.After() == 0 {
		return fault.Ineffectivef("no folio holds both a part of the region and bytes beside it; --folios large makes such folios where the kernel has them")
	}
	return nil
}

// truncateBeside cuts the file where the region ends.
func truncateBeside(t Target) (*os.File, error) {
	if err := t.sharesFolio(); err != nil {
		return nil, err
	}
	if t.Folios.After() == 0 {
		return nil, fault.Ineffectivef("the region's last folio ends with it, so truncation behind it touches no folio of it")
	}
	return nil, t.make(truncate, t.Region.End())
}

// punchApart punches its hole in the first folio behind the region's last one.
func punchApart(t Target) (*os.File, error) {
	if t.Folios == nil {
		return nil, t.sharesFolio()
	}
	offset := t.Region.End() + int64(t.Folios.After()*t.Known.PageSize)
	if offset+int64(t.Known.PageSize) > t.File.Info.Bytes {
		return nil, fault.Ineffectivef("the file ends in the region's last folio, so there is no other one behind it; give a larger --file-length")
	}
	return nil, t.make(punch, offset)
}
