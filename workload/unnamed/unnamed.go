// Package unnamed makes files that have no name, so that they are gone with the last process that
// has them open, however it ends.
package unnamed

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// In makes a file in a directory, for reading and writing. Where the file system knows none without
// a name (overlayfs before 6.1, 2b1a77461f16), it has one for a moment.
func In(dir string) (*os.File, error) {
	f, err := open(unix.AT_FDCWD, dir, filepath.Join(dir, "(unnamed)"))
	if err == nil {
		return f, nil
	}
	if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EISDIR) {
		return nil, &fs.PathError{Op: "create a file in", Path: dir, Err: err}
	}
	return unlinked(dir)
}

// At makes a file in a directory that is open, on that very file system: the errno is the kernel's.
func At(dir *os.File) (*os.File, error) {
	f, err := open(int(dir.Fd()), ".", filepath.Join(dir.Name(), "(unnamed)"))
	if err != nil {
		return nil, err
	}
	return f, nil
}

func open(at int, dir, called string) (*os.File, error) {
	fd, err := unix.Openat(at, dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), called), nil
}

// unlinked leaves nothing behind where it fails.
func unlinked(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "umemstress-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
