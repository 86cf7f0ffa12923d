package provoke

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// mincore tells which pages the page cache has.
func mincore(memory, resident []byte) error {
	_, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&memory[0])), uintptr(len(memory)), uintptr(unsafe.Pointer(&resident[0])))
	if errno != 0 {
		return errno
	}
	return nil
}
