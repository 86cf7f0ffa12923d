package strip

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/memory"
)

// pageoutBound is how long reclaim is asked again and again: it passes over a page
// that is locked, or on some CPU's list of pages that are yet to join the LRU. It
// never gets to a pinned page of a large folio, which would have to be split first
// (madvise_cold_or_pageout_pte_range, mm/madvise.c; seen on XFS on 6.1 and on a block
// device on 7.2), so the region is kept free of those.
const pageoutBound = 3 * time.Second

// stripPageout reclaims the region with MADV_PAGEOUT. Reclaim unmaps each page
// before it takes the buffers (mm/vmscan.c, shrink_page_list), and the pin keeps
// the page itself in the cache. madvise returns 0 even when nothing was done, so
// success is read from the page table: whether reclaim got to every page.
// Whether it then took the buffers of a pinned page is what differs between
// kernels, and what the channels witness.
func stripPageout(ctx context.Context, r *memory.Region, file *os.File) error {
	for deadline := time.Now().Add(pageoutBound); ; {
		if err := drainLRU(file, int64(len(r.Bytes))); err != nil {
			return err
		}
		if err := unix.Madvise(r.Bytes, unix.MADV_PAGEOUT); err != nil {
			return fmt.Errorf("madvise(MADV_PAGEOUT): %w; it came with Linux 5.4", err)
		}
		mapped, err := memory.MappedPages(r.Bytes)
		if err != nil || mapped == 0 {
			return err
		}
		if time.Now().After(deadline) {
			return fault.Ineffectivef("MADV_PAGEOUT leaves %d of %d pages mapped; the file must be writable by this user and mapped only once, and pinned pages of large folios stay",
				mapped, len(r.Bytes)/os.Getpagesize())
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// drainLRU makes every CPU hand its pages over to the LRU, where reclaim finds
// them: FADV_DONTNEED does so when it could not drop what it was asked to
// (mm/fadvise.c, lru_add_drain_all), and it drops no page that is mapped.
func drainLRU(file *os.File, bytes int64) error {
	if err := unix.Fadvise(int(file.Fd()), 0, bytes, unix.FADV_DONTNEED); err != nil {
		return fmt.Errorf("fadvise(FADV_DONTNEED): %w", err)
	}
	return nil
}
