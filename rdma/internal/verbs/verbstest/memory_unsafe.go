package verbstest

import "unsafe"

// memoryAt is memory that Go does not manage, as a provider reads what it carries inline.
func memoryAt(address uint64, length uint32) []byte {
	at := uintptr(address)
	return unsafe.Slice(*(**byte)(unsafe.Pointer(&at)), length)
}
