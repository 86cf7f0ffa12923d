package v4l2

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/file"
)

// call makes a request with a structure, and the kernel writes its answer into that. It holds no
// pointers to Go's memory.
func call[T capability | formatDescription | frameSize | format | requestBuffers | buffer | parameters | int32](node *os.File, request uintptr, argument *T) error {
	return file.Again(func() error {
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, node.Fd(), request, uintptr(unsafe.Pointer(argument))); errno != 0 {
			return errno
		}
		return nil
	})
}
