package workload

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// region is memory that gets pinned: a MAP_SHARED mapping of a file, or
// anonymous memory. It is whole pages long and lies outside Go's heap, so the
// kernel may pin it for as long as it likes.
type region struct {
	mem []byte
}

func mapFile(f *os.File, bytes int) (*region, error) {
	mem, err := unix.Mmap(int(f.Fd()), 0, bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mmap %d bytes of %s: %w", bytes, f.Name(), err)
	}
	return &region{mem: mem}, nil
}

// singlePages keeps large folios out of a file's region, of which no page may be there
// yet. The page cache makes them of what it reads ahead of a mapping's faults
// (mm/readahead.c, page_cache_async_ra, since 5.18), and reads nothing ahead where
// access is said to be random (mm/filemap.c, do_async_mmap_readahead).
func (r *region) singlePages() error {
	if err := unix.Madvise(r.mem, unix.MADV_RANDOM); err != nil {
		return fmt.Errorf("madvise(MADV_RANDOM): %w", err)
	}
	return nil
}

func mapAnonymous(bytes int) (*region, error) {
	mem, err := unix.Mmap(-1, 0, bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("mmap %d anonymous bytes: %w; choose a smaller --anon-size", bytes, err)
	}
	return &region{mem: mem}, nil
}

// touch makes every page present and writable, as an application's would be.
func touch(mem []byte) {
	for at := 0; at < len(mem); at += unix.Getpagesize() {
		mem[at] = 0
	}
}

// Close unmaps the region.
func (r *region) Close() error {
	if r == nil || r.mem == nil {
		return nil
	}
	mem := r.mem
	r.mem = nil
	return unix.Munmap(mem)
}
