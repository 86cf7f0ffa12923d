package devicecheck

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

const udmabuf = "/dev/udmabuf"

// createDMABuf is struct udmabuf_create, linux/udmabuf.h.
type createDMABuf struct {
	memfd, flags uint32
	offset, size uint64
}

// udmabufCreate is UDMABUF_CREATE, linux/udmabuf.h.
const udmabufCreate = 0x40187542

// newDMABuf is a dma-buf of memory, or, on a host that makes none, the memory's own file.
func newDMABuf(size int) (fd int, is bool, err error) {
	memfd, err := unix.MemfdCreate("umemstress-dmabuf", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return -1, false, fmt.Errorf("memory for a dma-buf: %w", err)
	}
	if err = unix.Ftruncate(memfd, int64(size)); err == nil {
		_, err = unix.FcntlInt(uintptr(memfd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK)
	}
	if err != nil {
		return -1, false, errors.Join(fmt.Errorf("memory for a dma-buf: %w", err), unix.Close(memfd))
	}
	device, err := unix.Open(udmabuf, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return memfd, false, nil
	}
	defer unix.Close(device)
	request := createDMABuf{memfd: uint32(memfd), flags: 1, size: uint64(size)} // close on exec
	made, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(device), udmabufCreate, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return -1, false, errors.Join(fmt.Errorf("%s makes no dma-buf: %w", udmabuf, errno), unix.Close(memfd))
	}
	return int(made), true, unix.Close(memfd)
}
