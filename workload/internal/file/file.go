// Package file does to open files what package os does not: sync them whatever signals
// come, open them once more, and make ones without a name.
package file

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"umemstress/workload/unnamed"
)

// Again makes a system call once more for as long as signals interrupt it: Go's scheduler
// sends some, and a program that was stopped and goes on is interrupted as well.
func Again(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// Sync is fsync(2).
func Sync(f *os.File) error {
	return Again(func() error { return unix.Fsync(int(f.Fd())) })
}

// Allocate is fallocate(2). Most file systems break it off for a signal.
func Allocate(f *os.File, mode uint32, offset, bytes int64) error {
	return Again(func() error { return unix.Fallocate(int(f.Fd()), mode, offset, bytes) })
}

// RoomAdvice is what to do, in the words of an error, where err is of space that ran out.
func RoomAdvice(err error, advice string) string {
	for _, errno := range []error{unix.ENOSPC, unix.EDQUOT, unix.EFBIG, unix.ENOMEM} {
		if errors.Is(err, errno) {
			return "; " + advice
		}
	}
	return ""
}

// Reopen opens once more what f is open on, which may have no name.
func Reopen(f *os.File, mode int) (*os.File, error) {
	return os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), mode, 0)
}

// Nameless makes a file of the given size that has no name and whose blocks
// are reserved, so that the scratch cannot run out of space half-way.
func Nameless(dir string, size int64) (*os.File, error) {
	f, err := unnamed.In(dir)
	if err != nil {
		return nil, fmt.Errorf("make the scratch file in %s: %w; choose another directory with --scratch-dir", dir, err)
	}
	err = Allocate(f, 0, 0, size)
	if errors.Is(err, unix.EOPNOTSUPP) {
		err = f.Truncate(size)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("reserve %d MiB for the scratch file system in %s: %w%s", size>>20, dir, err,
			RoomAdvice(err, "choose another directory with --scratch-dir or a smaller --file-size"))
	}
	return f, nil
}
