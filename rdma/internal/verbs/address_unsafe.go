package verbs

import "unsafe"

// AddressOf is the address of memory that Go does not manage, and which therefore
// stays where it is.
func AddressOf(mem []byte) uint64 {
	return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(mem))))
}
