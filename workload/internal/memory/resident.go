package memory

import (
	"encoding/binary"
	"fmt"
	"os"
)

// An entry of /proc/self/pagemap (Documentation/admin-guide/mm/pagemap.rst).
const (
	pagemapPresent = 1 << 63
	pagemapFrame   = 1<<55 - 1 // bits 0-54, which read as 0 without CAP_SYS_ADMIN
)

// pagemap returns the entry of each page of mem.
func pagemap(mem []byte) ([]uint64, error) {
	f, err := os.Open("/proc/self/pagemap")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	pageSize := uintptr(os.Getpagesize())
	raw := make([]byte, uintptr(len(mem))/pageSize*8)
	if _, err := f.ReadAt(raw, int64(AddressOf(mem)/pageSize*8)); err != nil {
		return nil, fmt.Errorf("read /proc/self/pagemap: %w", err)
	}
	return words(raw), nil
}

// words reads 64-bit words as the kernel writes them.
func words(raw []byte) []uint64 {
	list := make([]uint64, len(raw)/8)
	for i := range list {
		list[i] = binary.NativeEndian.Uint64(raw[i*8:])
	}
	return list
}

// MappedPages counts the pages of mem that the page table maps.
func MappedPages(mem []byte) (int, error) {
	entries, err := pagemap(mem)
	mapped := 0
	for _, e := range entries {
		if e&pagemapPresent != 0 {
			mapped++
		}
	}
	return mapped, err
}

// Present says of each page of mem whether the page table has it.
func Present(mem []byte) ([]bool, error) {
	entries, err := pagemap(mem)
	present := make([]bool, len(entries))
	for i, e := range entries {
		present[i] = e&pagemapPresent != 0
	}
	return present, err
}

// CachedPages says of each page of a mapping of a file whether it is in the page cache. Of a
// file that is neither the caller's own nor writable for it, the kernel says so of every page
// (mm/mincore.c, can_do_mincore).
func CachedPages(mem []byte) ([]bool, error) {
	states := make([]byte, len(mem)/os.Getpagesize())
	if err := mincore(mem, states); err != nil {
		return nil, fmt.Errorf("mincore: %w", err)
	}
	cached := make([]bool, len(states))
	for i, state := range states {
		cached[i] = state&1 != 0
	}
	return cached, nil
}
