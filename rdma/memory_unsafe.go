package rdma

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// addressOf is the address of memory that Go does not manage, and which
// therefore stays where it is.
func addressOf(mem []byte) uint64 {
	return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(mem))))
}

// madvisePages advises on every page that mem touches; its first byte lies head
// bytes behind the start of a page.
func madvisePages(mem []byte, head, page, advice int) error {
	start := unsafe.Add(unsafe.Pointer(unsafe.SliceData(mem)), -head)
	length := (head + len(mem) + page - 1) &^ (page - 1)
	return unix.Madvise(unsafe.Slice((*byte)(start), length), advice)
}
