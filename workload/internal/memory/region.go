// Package memory maps the regions that get pinned, and tells what the kernel has of them:
// which pages are mapped, which are cached, and how much memory there is beside them.
package memory

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Region is memory that gets pinned: a MAP_SHARED mapping of a file, or
// anonymous memory. It is whole pages long and lies outside Go's heap, so the
// kernel may pin it for as long as it likes.
type Region struct {
	Bytes []byte
}

// MapFile maps the first bytes of a file, shared, to be read and written.
func MapFile(f *os.File, bytes int) (*Region, error) {
	mem, err := unix.Mmap(int(f.Fd()), 0, bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mmap %d bytes of %s: %w", bytes, f.Name(), err)
	}
	return &Region{Bytes: mem}, nil
}

// SinglePages keeps large folios out of a file's region, of which no page may be there
// yet. The page cache makes them of what it reads ahead of a mapping's faults
// (mm/readahead.c, page_cache_async_ra, since 5.18), and reads nothing ahead where
// access is said to be random (mm/filemap.c, do_async_mmap_readahead).
func (r *Region) SinglePages() error {
	if err := unix.Madvise(r.Bytes, unix.MADV_RANDOM); err != nil {
		return fmt.Errorf("madvise(MADV_RANDOM): %w", err)
	}
	return nil
}

// MapAnonymous maps bytes of memory of no file.
func MapAnonymous(bytes int) (*Region, error) {
	mem, err := unix.Mmap(-1, 0, bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("mmap %d anonymous bytes: %w; choose a smaller --anon-size", bytes, err)
	}
	return &Region{Bytes: mem}, nil
}

// Touch makes every page present and writable, as an application's would be.
func Touch(mem []byte) {
	for at := 0; at < len(mem); at += unix.Getpagesize() {
		mem[at] = 0
	}
}

// Close unmaps the region.
func (r *Region) Close() error {
	if r == nil || r.Bytes == nil {
		return nil
	}
	mem := r.Bytes
	r.Bytes = nil
	return unix.Munmap(mem)
}
