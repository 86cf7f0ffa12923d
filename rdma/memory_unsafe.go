package rdma

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// madvisePages advises on every page that mem touches; its first byte lies head
// bytes behind the start of a page.
func madvisePages(mem []byte, head, page, advice int) error {
	start := unsafe.Add(unsafe.Pointer(unsafe.SliceData(mem)), -head)
	length := (head + len(mem) + page - 1) &^ (page - 1)
	return unix.Madvise(unsafe.Slice((*byte)(start), length), advice)
}
