package mutation

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/fault"
)

// The mutations in this file touch no byte of the region. What reaches it is the folio that
// its bytes and those beside it have in common: truncation of a part zeroes that part and
// splits the folio, and where a pin forbids the split, takes the whole of it from the file
// (mm/truncate.c, truncate_inode_partial_folio).

// change changes one page of the file at an offset.
type change struct {
	what string
	do   func(t Target, offset, bytes int64) error
}

var (
	punch = change{"punch a hole", func(t Target, offset, bytes int64) error {
		return unix.Fallocate(t.fd(), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, offset, bytes)
	}}
	zero = change{"zero a page", func(t Target, offset, bytes int64) error {
		return unix.Fallocate(t.fd(), unix.FALLOC_FL_ZERO_RANGE, offset, bytes)
	}}
	write = change{"write a page", func(t Target, offset, bytes int64) error {
		_, err := t.File.Handle.WriteAt(make([]byte, bytes), offset)
		return err
	}}
)

func (c change) at(t Target, offset int64) error {
	if err := c.do(t, offset, int64(t.Known.PageSize)); err != nil {
		return fmt.Errorf("%s beside the region, at %d: %w", c.what, offset, err)
	}
	return nil
}

// besideInFolio changes the pages just before and just behind the region that are in a
// folio with it; one of the two has to be there.
func besideInFolio(c change) func(Target) (*os.File, error) {
	return func(t Target) (*os.File, error) {
		if err := t.sharesFolio(); err != nil {
			return nil, err
		}
		var errs []error
		if t.Folios.Before() > 0 {
			errs = append(errs, c.at(t, t.Region.Offset-int64(t.Known.PageSize)))
		}
		if t.Folios.After() > 0 {
			errs = append(errs, c.at(t, t.Region.End()))
		}
		return nil, errors.Join(errs...)
	}
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
	if err := t.File.Handle.Truncate(t.Region.End()); err != nil {
		return nil, fmt.Errorf("truncate the file behind the region: %w", err)
	}
	return nil, nil
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
	return nil, punch.at(t, offset)
}
