// Package file does to open files what package os does not: sync them whatever signals
// come, open them once more, and make ones without a name.
package file

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Sync retries when a signal of Go's scheduler interrupted the call.
func Sync(f *os.File) error {
	for {
		if err := unix.Fsync(int(f.Fd())); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// Reopen opens once more what f is open on, which may have no name.
func Reopen(f *os.File, mode int) (*os.File, error) {
	return os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), mode, 0)
}

// Nameless makes a file of the given size that has no name and whose blocks
// are reserved, so that the scratch cannot run out of space half-way.
func Nameless(dir string, size int64) (*os.File, error) {
	f, err := os.OpenFile(dir, os.O_RDWR|unix.O_TMPFILE, 0o600)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EISDIR) { // overlayfs before 6.1 (2b1a77461f16)
		if f, err = os.CreateTemp(dir, "umemstress-scratch-*"); err == nil {
			err = os.Remove(f.Name())
		}
	}
	if err != nil {
		return nil, fmt.Errorf("make the scratch file in %s: %w; choose another directory with --scratch-dir", dir, err)
	}
	err = unix.Fallocate(int(f.Fd()), 0, 0, size)
	if errors.Is(err, unix.EOPNOTSUPP) {
		err = f.Truncate(size)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("reserve %d MiB for the scratch file system in %s: %w; choose another directory with --scratch-dir or a smaller --file-size", size>>20, dir, err)
	}
	return f, nil
}
