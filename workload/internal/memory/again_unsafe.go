package memory

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// MapAgain maps the pages of a shared mapping a second time, over what was at the address
// (mremap(2): of an old size of 0).
func MapAgain(shared, over []byte) error { return Remap(shared, 0, over) }

// Remap has size bytes of what is mapped move over what was at the address.
func Remap(from []byte, size uintptr, over []byte) error {
	_, err := unix.MremapPtr(unsafe.Pointer(&from[0]), size, unsafe.Pointer(&over[0]), uintptr(len(over)), unix.MREMAP_MAYMOVE|unix.MREMAP_FIXED)
	return err
}
