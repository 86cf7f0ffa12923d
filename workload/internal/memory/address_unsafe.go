package memory

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// AddressOf returns where mapped memory begins. The memory is outside Go's
// heap, so the address stays true for as long as the mapping.
func AddressOf(mem []byte) uintptr {
	return uintptr(unsafe.Pointer(unsafe.SliceData(mem)))
}

// mincore says of each page of a mapping whether it is in memory (mincore(2)).
func mincore(mem, states []byte) error {
	_, _, errno := unix.Syscall(unix.SYS_MINCORE, AddressOf(mem), uintptr(len(mem)), uintptr(unsafe.Pointer(unsafe.SliceData(states))))
	if errno != 0 {
		return errno
	}
	return nil
}
