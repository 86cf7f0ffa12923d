package vmci

import (
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/file"
)

// call makes a request with a structure, and the kernel writes its answer into that. It holds no
// pointers to Go's memory. The number that the kernel returns is 0 where no error is, but
// its own version for ioctlVersion2.
func call[T initBlock | allocInfo | detachInfo | datagramInfo | uint32](node *os.File, request uintptr, argument *T) error {
	return file.Again(func() error {
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, node.Fd(), request, uintptr(unsafe.Pointer(argument))); errno != 0 {
			return errno
		}
		return nil
	})
}

// storeConsumerHead tells the kernel how far its bytes have been taken from a queue. The header
// is mapped, and the kernel reads it.
func storeConsumerHead(header []byte, at uint64) {
	atomic.StoreUint64((*uint64)(unsafe.Pointer(&header[consumerHead])), at)
}

// renew maps fresh anonymous memory over what was there.
func renew(pages []byte) error {
	_, err := unix.MmapPtr(-1, 0, unsafe.Pointer(&pages[0]), uintptr(len(pages)), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_FIXED)
	return err
}
