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
