package record

import (
	"cmp"
	"fmt"
	"strings"

	"umemstress/workload/scenario"
)

// leftClean is how many pages of the region its holder let go of at most without marking them dirty:
// all, or those of large folios, where it does so, but for those that the probes saw dirtied, and for those
// that the page cache has lost, too: they were no longer the file's.
func (w testimony) leftClean() uint64 {
	n := w.pages
	switch w.facts.LeftClean {
	case scenario.LeftCleanNone:
		return 0
	case scenario.LeftCleanLarge:
		n, _ = w.Folios.LargePages(w.pageSize)
	}
	if w.Probes.State == StateOK && w.Probes.LostCounts == 0 {
		n = min(n, less(w.pages, w.Probes.DirtiedPages))
	}
	if w.Cache.State == StateOK {
		n = min(n, less(w.Disk.StalePages, w.Cache.StalePages))
	}
	return n
}

// less is a-b, or 0.
func less(a, b uint64) uint64 { return a - min(a, b) }

// LeftClean is which pages of the region were let go of without being marked dirty, and how many, where
// that is how pages were lost: none where some had no buffers.
func (r *Record) LeftClean() (which scenario.LeftClean, pages uint64) {
	w := testimonyOf(r)
	if w.Disk.State != StateOK || w.Disk.StalePages == 0 || w.bufferless() != "" {
		return scenario.LeftCleanNone, 0
	}
	if pages = w.leftClean(); pages == 0 {
		return scenario.LeftCleanNone, 0
	}
	return w.facts.LeftClean, pages
}

// behind says what was done behind the file system's back: pages dirtied without buffers, if
// that was seen, or else without its being told, and pages that changed without being dirtied.
func (w testimony) behind(bufferless string) string {
	var done []string
	if dirtied := cmp.Or(bufferless, w.untold()); dirtied != "" {
		done = append(done, dirtied)
	}
	if n := w.leftClean(); n > 0 {
		which := ""
		if w.facts.LeftClean == scenario.LeftCleanLarge {
			which = ", in large folios,"
		}
		done = append(done, fmt.Sprintf("%d pages%s were let go without being marked dirty", n, which))
	}
	return strings.Join(done, "; ")
}
