package memory

import (
	"encoding/binary"
	"fmt"
	"os"
)

// pagemapPresent is bit 63 of a page's entry in /proc/self/pagemap
// (Documentation/admin-guide/mm/pagemap.rst).
const pagemapPresent = 1 << 63

// MappedPages counts the pages of mem that the page table maps.
func MappedPages(mem []byte) (int, error) {
	f, err := os.Open("/proc/self/pagemap")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	pageSize := uintptr(os.Getpagesize())
	entries := make([]byte, uintptr(len(mem))/pageSize*8)
	if _, err := f.ReadAt(entries, int64(AddressOf(mem)/pageSize*8)); err != nil {
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

// CachedPages counts the pages of a mapping's file that are in the page cache.
func CachedPages(mem []byte) (int, error) {
	states := make([]byte, len(mem)/os.Getpagesize())
	if err := mincore(mem, states); err != nil {
		return 0, fmt.Errorf("mincore: %w", err)
	}
	cached := 0
	for _, state := range states {
		cached += int(state & 1)
	}
	return cached, nil
}
