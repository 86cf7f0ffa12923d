package workload

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
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
func stripPageout(ctx context.Context, r *region, file *os.File) error {
	for deadline := time.Now().Add(pageoutBound); ; {
		if err := drainLRU(file, int64(len(r.mem))); err != nil {
			return err
		}
		if err := unix.Madvise(r.mem, unix.MADV_PAGEOUT); err != nil {
			return fmt.Errorf("madvise(MADV_PAGEOUT): %w; it came with Linux 5.4", err)
		}
		mapped, err := mappedPages(r.mem)
		if err != nil || mapped == 0 {
			return err
		}
		if time.Now().After(deadline) {
			return ineffectivef("MADV_PAGEOUT leaves %d of %d pages mapped; the file must be writable by this user and mapped only once, and pinned pages of large folios stay",
				mapped, len(r.mem)/os.Getpagesize())
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

// pagemapPresent is bit 63 of a page's entry in /proc/self/pagemap
// (Documentation/admin-guide/mm/pagemap.rst).
const pagemapPresent = 1 << 63

// mappedPages counts the pages of mem that the page table maps.
func mappedPages(mem []byte) (int, error) {
	f, err := os.Open("/proc/self/pagemap")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	pageSize := uintptr(os.Getpagesize())
	entries := make([]byte, uintptr(len(mem))/pageSize*8)
	if _, err := f.ReadAt(entries, int64(addressOf(mem)/pageSize*8)); err != nil {
		return 0, fmt.Errorf("read /proc/self/pagemap: %w", err)
	}
	mapped := 0
	for at := 0; at < len(entries); at += 8 {
		if binary.NativeEndian.Uint64(entries[at:])&pagemapPresent != 0 {
			mapped++
		}
	}
	return mapped, nil
}
