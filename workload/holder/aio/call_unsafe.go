package aio

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/file"
)

func setup(reads int, context *uint64) error {
	_, _, errno := unix.Syscall(unix.SYS_IO_SETUP, uintptr(reads), uintptr(unsafe.Pointer(context)), 0)
	return failure(errno)
}

// submit returns how many of the control blocks were taken. The kernel copies them (fs/aio.c,
// io_submit_one).
func submit(context uint64, blocks []*controlBlock) (int, error) {
	n, _, errno := unix.Syscall(unix.SYS_IO_SUBMIT, uintptr(context), uintptr(len(blocks)), uintptr(unsafe.Pointer(unsafe.SliceData(blocks))))
	runtime.KeepAlive(blocks)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// getEvent waits for one event.
func getEvent(context uint64) (e ioEvent, err error) {
	err = file.Again(func() error {
		_, _, errno := unix.Syscall6(unix.SYS_IO_GETEVENTS, uintptr(context), 1, 1, uintptr(unsafe.Pointer(&e)), 0, 0)
		return failure(errno)
	})
	return e, err
}

func destroy(context uint64) error {
	_, _, errno := unix.Syscall(unix.SYS_IO_DESTROY, uintptr(context), 0, 0)
	return failure(errno)
}

func failure(errno unix.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}
