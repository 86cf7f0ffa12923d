package folio

import (
	"errors"
	"os"
	"slices"

	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/memory"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// Pinned is what is known of the folios that hold a region's pages. As long as these are
// pinned they stay in the same frames, mapped or not.
type Pinned struct {
	pages  int            // of the region
	frames []uint64       // of those that were mapped
	folios []memory.Folio // of each of these
	first  bool           // whether frames has the region's first page, and
	last   bool           // its last
}

// Look looks at the folios of a region whose pages are mapped. It takes root; without, the
// error says what this host lacks.
func Look(r *memory.Region) (*Pinned, error) {
	frames, err := memory.Frames(r.Bytes)
	if err != nil {
		return nil, unseen(err)
	}
	p := &Pinned{pages: len(frames), first: frames[0] != 0, last: frames[len(frames)-1] != 0}
	p.frames = slices.DeleteFunc(frames, func(frame uint64) bool { return frame == 0 })
	if p.folios, err = p.look(); err != nil {
		return nil, unseen(err)
	}
	return p, nil
}

func unseen(err error) error {
	return fault.Lacksf("of what sizes the folios are cannot be seen: %w", err)
}

// look returns the folio of each frame, as it is now.
func (p *Pinned) look() (_ []memory.Folio, err error) {
	flags, err := memory.OpenFrameFlags()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, flags.Close()) }()
	folios := make([]memory.Folio, len(p.frames))
	for i, frame := range p.frames {
		if folios[i], err = flags.Folio(frame); err != nil {
			return nil, err
		}
	}
	return folios, nil
}

// Sizes counts the folios, and the region's pages in them, by size; smallest first.
func (p *Pinned) Sizes() []record.FolioSize {
	var sizes []record.FolioSize
	seen := map[uint64]bool{}
	for _, f := range p.folios {
		bytes := f.Pages * os.Getpagesize()
		at, found := slices.BinarySearchFunc(sizes, bytes, func(s record.FolioSize, bytes int) int { return s.Bytes - bytes })
		if !found {
			sizes = slices.Insert(sizes, at, record.FolioSize{Bytes: bytes})
		}
		sizes[at].Pages++
		if !seen[f.Head] {
			seen[f.Head] = true
			sizes[at].Folios++
		}
	}
	return sizes
}

// Check says with an ineffective error that the folios are not those that were asked for.
func (k Kind) Check(p *Pinned) error {
	if seen := len(p.frames); seen < p.pages && k.Name != scenario.Natural {
		return fault.Ineffectivef("--folios %s: %d of %d pinned pages are not mapped, so of what sizes their folios are cannot be seen", k.Name, p.pages-seen, p.pages)
	}
	misfits := 0
	for _, f := range p.folios {
		if !k.fits(f.Pages) {
			misfits++
		}
	}
	if misfits == 0 {
		return nil
	}
	return fault.Ineffectivef("--folios %s: %d of %d pinned pages are in folios of another size; this file system on this kernel does not make them, or memory is too fragmented",
		k.Name, misfits, len(p.folios))
}

// Mark remembers which folios have private data now.
func (p *Pinned) Mark() (err error) {
	if p == nil {
		return nil
	}
	p.folios, err = p.look()
	return err
}

// Stripped counts the pages, and their folios, that had private data when they were marked
// and have none now: on ext4, buffers.
func (p *Pinned) Stripped() (pages, folios uint64, err error) {
	if p == nil {
		return 0, 0, nil
	}
	now, err := p.look()
	if err != nil {
		return 0, 0, err
	}
	seen := map[uint64]bool{}
	for i, f := range now {
		if f.Private || !p.folios[i].Private {
			continue
		}
		pages++
		if !seen[f.Head] {
			seen[f.Head] = true
			folios++
		}
	}
	return pages, folios, nil
}

// LargePages counts the region's pages that are in large folios.
func (p *Pinned) LargePages() (pages int) {
	if p == nil {
		return 0
	}
	for _, f := range p.folios {
		if f.Pages > 1 {
			pages++
		}
	}
	return pages
}

// Before says whether the folio of the region's first page begins before the region, and
// by how many pages.
func (p *Pinned) Before() int {
	if !p.first {
		return 0
	}
	return int(p.frames[0] - p.folios[0].Head)
}

// After says by how many pages the folio of the region's last page goes on beyond it.
func (p *Pinned) After() int {
	if !p.last {
		return 0
	}
	last := len(p.frames) - 1
	f := p.folios[last]
	return int(f.Head) + f.Pages - 1 - int(p.frames[last])
}
