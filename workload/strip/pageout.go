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
// that is locked, or on some CPU's list of pages that are yet to join the LRU.
const pageoutBound = 3 * time.Second

// stripPageout reclaims the region with MADV_PAGEOUT. Reclaim unmaps each page
// before it takes the buffers (mm/vmscan.c, shrink_page_list), and the pin keeps
// the page itself in the cache. madvise returns 0 even when nothing was done, so
// success is read from the page table: whether reclaim got to every page.
// Whether it then took the buffers of a pinned page is what differs between
// kernels, and what the channels witness.
//
// A large folio of which only a part is mapped would have to be split first, which its pin
// forbids, so its pages stay mapped (mm/madvise.c, madvise_cold_or_pageout_pte_range). It
// is stripped all the same where the kernel takes the buffers before it looks at the pin
// (mm/huge_memory.c, __folio_split; seen on 7.2).
func stripPageout(ctx context.Context, t Target) error {
	for deadline := time.Now().Add(pageoutBound); ; {
		if err := drainLRU(t); err != nil {
			return err
		}
		if err := unix.Madvise(t.Region.Bytes, unix.MADV_PAGEOUT); err != nil {
			return fmt.Errorf("madvise(MADV_PAGEOUT): %w; it came with Linux 5.4", err)
		}
		mapped, err := memory.MappedPages(t.Region.Bytes)
		if err != nil || mapped == 0 {
			return err
		}
		if mapped <= t.Folios.LargePages() {
			return t.strippedAfter(fmt.Sprintf("MADV_PAGEOUT leaves %d of %d pages mapped, which are in large folios", mapped, t.pages()))
		}
		if time.Now().After(deadline) {
			return fault.Ineffectivef("MADV_PAGEOUT leaves %d of %d pages mapped; the file must be writable by this user and mapped only once",
				mapped, t.pages())
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// stripCold deactivates the region with MADV_COLD, which does nothing to buffers but where
// it comes to a large folio of which only a part is mapped: see stripPageout.
func stripCold(_ context.Context, t Target) error {
	if err := drainLRU(t); err != nil {
		return err
	}
	if err := unix.Madvise(t.Region.Bytes, unix.MADV_COLD); err != nil {
		return fmt.Errorf("madvise(MADV_COLD): %w; it came with Linux 5.4", err)
	}
	return t.strippedAfter("MADV_COLD was told of the region")
}

// strippedAfter says with an ineffective error that no folio has lost its private data,
// after what was done.
func (t Target) strippedAfter(done string) error {
	if t.Folios == nil {
		return fault.Ineffectivef("%s, and whether any of them lost its buffers cannot be seen: channels.folios says why", done)
	}
	stripped, _, err := t.Folios.Stripped()
	if err == nil && stripped == 0 {
		err = fault.Ineffectivef("%s, and no folio lost its buffers by it", done)
	}
	return err
}

func (t Target) pages() int { return int(t.Region.Length) / os.Getpagesize() }

// drainLRU makes every CPU hand its pages over to the LRU, where reclaim finds
// them: FADV_DONTNEED does so when it could not drop what it was asked to
// (mm/fadvise.c, lru_add_drain_all), and it drops no page that is mapped.
func drainLRU(t Target) error {
	if err := unix.Fadvise(int(t.File.Fd()), t.Region.Offset, t.Region.Length, unix.FADV_DONTNEED); err != nil {
		return fmt.Errorf("fadvise(FADV_DONTNEED): %w", err)
	}
	return nil
}
