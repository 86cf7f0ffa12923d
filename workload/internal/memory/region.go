// Package memory maps the regions that get pinned, and tells what the kernel has of them:
// which pages are mapped, which are cached, which frames hold them in folios of what sizes,
// and how much memory there is beside them.
package memory

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Region is memory that gets pinned: a MAP_SHARED mapping of a file, or
// anonymous memory. It is whole pages long and lies outside Go's heap, so the
// kernel may pin it for as long as it likes.
type Region struct {
	Bytes  []byte
	Offset int64    // of its first byte in the file
	Length int64    // in bytes; what Bytes had before it was unmapped
	File   *os.File // which is the caller's to close; nil: anonymous memory
}

// MapFile maps bytes of a file from an offset on, a multiple of the page; shared, to be
// read and written.
func MapFile(f *os.File, offset int64, bytes int) (*Region, error) {
	mem, err := unix.Mmap(int(f.Fd()), offset, bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mmap %d bytes of %s at %d: %w", bytes, f.Name(), offset, err)
	}
	return &Region{Bytes: mem, Offset: offset, Length: int64(bytes), File: f}, nil
}

// MapAnonymous maps bytes of memory of no file.
func MapAnonymous(bytes int) (*Region, error) {
	mem, err := unix.Mmap(-1, 0, bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("mmap %d anonymous bytes: %w; choose a smaller --anon-size", bytes, err)
	}
	return &Region{Bytes: mem, Length: int64(bytes)}, nil
}

// End is where the region ends in its file.
func (r *Region) End() int64 { return r.Offset + r.Length }

// Touch makes every page present and writable, as an application's would be.
func Touch(mem []byte) {
	for at := 0; at < len(mem); at += unix.Getpagesize() {
		mem[at] = 0
	}
}

// Show reads from every page, so that the page table has it, read-only where it had it not.
func Show(mem []byte) {
	var all byte
	for at := 0; at < len(mem); at += unix.Getpagesize() {
		all ^= mem[at]
	}
	runtime.KeepAlive(all) // so that the compiler leaves no read out
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
