package workload

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// pageoutPasses bounds how often reclaim is asked: it passes over a page that
// is locked, or on some CPU's list of pages that are yet to join the LRU.
const pageoutPasses = 5

// stripPageout reclaims the region with MADV_PAGEOUT. Reclaim unmaps each page
// before it takes the buffers (mm/vmscan.c, shrink_page_list), and the pin keeps
// the page itself in the cache. madvise returns 0 even when nothing was done, so
// success is read from the page table: whether reclaim got to every page.
// Whether it then took the buffers of a pinned page is what differs between
// kernels, and what the channels witness.
func stripPageout(_ context.Context, r *region, file *os.File) error {
	var mapped int
	for range pageoutPasses {
		if err := drainLRU(file, int64(len(r.mem))); err != nil {
			return err
		}
		if err := unix.Madvise(r.mem, unix.MADV_PAGEOUT); err != nil {
			return fmt.Errorf("madvise(MADV_PAGEOUT): %w; it came with Linux 5.4", err)
		}
		var err error
		if mapped, err = mappedPages(r.mem); err != nil || mapped == 0 {
			return err
		}
	}
	return ineffective{fmt.Errorf("MADV_PAGEOUT left %d of %d pages mapped after %d passes; the file must be writable by this user and mapped only once",
		mapped, len(r.mem)/os.Getpagesize(), pageoutPasses)}
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
