package userfault

import (
	"io"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The types and numbers of include/uapi/linux/userfaultfd.h that are used here.
const (
	uffdAPI         = 0xaa       // UFFD_API
	uffdioAPI       = 0xc018aa3f // UFFDIO_API
	uffdioRegister  = 0xc020aa00 // UFFDIO_REGISTER
	uffdioCopy      = 0xc028aa03 // UFFDIO_COPY
	uffdModeMissing = 1 << 0     // UFFDIO_REGISTER_MODE_MISSING
	uffdPageFault   = 0x12       // UFFD_EVENT_PAGEFAULT
)

// uffdioAPIArg is struct uffdio_api.
type uffdioAPIArg struct{ API, Features, Ioctls uint64 }

// uffdioRegisterArg is struct uffdio_register.
type uffdioRegisterArg struct{ Start, Len, Mode, Ioctls uint64 }

// uffdioCopyArg is struct uffdio_copy.
type uffdioCopyArg struct {
	Dst, Src, Len, Mode uint64
	Copy                int64
}

// uffdMsg is struct uffd_msg of a page fault.
type uffdMsg struct {
	Event    uint8
	_        [7]uint8
	Flags    uint64
	Address  uint64
	ThreadID uint32
	_        uint32
}

// The sizes are those that the request numbers carry, and that read(2) gives.
var (
	_ [0x18]byte = [unsafe.Sizeof(uffdioAPIArg{})]byte{}
	_ [0x20]byte = [unsafe.Sizeof(uffdioRegisterArg{})]byte{}
	_ [0x28]byte = [unsafe.Sizeof(uffdioCopyArg{})]byte{}
	_ [32]byte   = [unsafe.Sizeof(uffdMsg{})]byte{}
)

// uffdioCall makes a request on a userfaultfd. The arguments hold addresses of
// mapped memory as numbers, none of the Go heap.
func uffdioCall[A uffdioAPIArg | uffdioRegisterArg | uffdioCopyArg](fd int, request uintptr, arg *A) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(unsafe.Pointer(arg)))
	if errno != 0 {
		return errno
	}
	return nil
}

// readMsg reads one event. It waits as a Go file does, and ends with the file.
func readMsg(f *os.File) (uffdMsg, error) {
	var m uffdMsg
	n, err := f.Read(unsafe.Slice((*byte)(unsafe.Pointer(&m)), unsafe.Sizeof(m)))
	if err == nil && n != int(unsafe.Sizeof(m)) {
		err = io.ErrUnexpectedEOF
	}
	return m, err
}
