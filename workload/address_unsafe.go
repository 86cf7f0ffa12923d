package workload

import "unsafe"

// addressOf returns where mapped memory begins. The memory is outside Go's
// heap, so the address stays true for as long as the mapping.
func addressOf(mem []byte) uintptr {
	return uintptr(unsafe.Pointer(unsafe.SliceData(mem)))
}
