//go:build guest

package main

import (
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pageOut has reclaim take the pages of another process's memory, from outside.
func pageOut(pid int, address, length uint64) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return err
	}
	vec := unix.RemoteIovec{Base: uintptr(address), Len: int(length)}
	_, _, errno := unix.Syscall6(unix.SYS_PROCESS_MADVISE, uintptr(fd), uintptr(unsafe.Pointer(&vec)), 1, unix.MADV_PAGEOUT, 0, 0)
	if errno != 0 {
		err = errno
	}
	return errors.Join(err, unix.Close(fd))
}
