// Package folio has the page cache hold a file in folios of the sizes that are asked for,
// and tells of what sizes they really are. A new way is a function and a line in [Kinds].
package folio

import (
	"fmt"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/memory"
	"umemstress/workload/scenario"
)

// Kind is a choice of folios that a scenario can name.
type Kind struct {
	scenario.Folios
	// Fill has the file's pages in the page cache, and on the disk, before they are mapped;
	// nil: the faults of the mapping bring them.
	Fill func(Filling) error
	// Advise tells the kernel of the mapping, of which no page may be there yet; nil: nothing.
	Advise func(r *memory.Region) error

	fits func(pages int) bool // a folio of so many pages is one that was asked for
}

// Kinds are all choices. Adding one takes a function and a line here.
func Kinds() []Kind {
	return []Kind{
		{
			Folios: scenario.Folios{Choice: scenario.Choice{Name: scenario.Natural, What: "what the file system makes by itself of a file that is reserved, mapped and touched"}},
			fits:   func(int) bool { return true },
		},
		{
			Folios: scenario.Folios{Choice: scenario.Choice{Name: "single", What: "a folio for each page, by MADV_RANDOM"}},
			Advise: randomAccess,
			fits:   func(pages int) bool { return pages == 1 },
		},
		{
			Folios: scenario.Folios{Choice: scenario.Choice{Name: "large", What: "folios of many pages, by large writes, or else by readahead; the region is a part of the file"}, Part: true},
			Fill:   fillLarge,
			fits:   func(pages int) bool { return pages > 1 },
		},
	}
}

// randomAccess keeps large folios out of a region. The page cache makes them of what it
// reads ahead of a mapping's faults (mm/readahead.c, page_cache_async_ra, since 5.18), and
// reads nothing ahead where access is said to be random (mm/filemap.c,
// do_async_mmap_readahead).
func randomAccess(r *memory.Region) error {
	if err := unix.Madvise(r.Bytes, unix.MADV_RANDOM); err != nil {
		return fmt.Errorf("madvise(MADV_RANDOM): %w", err)
	}
	return nil
}
