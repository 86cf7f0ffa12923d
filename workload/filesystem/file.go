package filesystem

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/file"
	"umemstress/workload/payload"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// File is the file behind the file-backed region. It is new and loses its
// name at once, so it is gone with the process, however that ends.
type File struct {
	Handle *os.File
	Dir    *os.File // of its file system, where a clone can be made; nil on a block device
	Info   record.File
}

// newFile creates a file that did not exist and unlinks it. The directory stays
// the caller's.
func newFile(dir *os.File, name string, scratch bool) (*File, error) {
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	t := &File{Handle: os.NewFile(uintptr(fd), name)}
	err = unix.Unlinkat(int(dir.Fd()), name, 0)
	if err == nil {
		t.Dir, err = file.Reopen(dir, unix.O_DIRECTORY)
	}
	if err == nil {
		err = t.describe(scratch)
	}
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// CreateUsers creates the file that --file names. An existing one is refused: a
// run overwrites every byte.
func CreateUsers(path string, kind Kind) (*File, error) {
	if kind.Backing == scenario.OnDevice {
		return nil, fault.Usagef("--file %s: the scenario is for a raw block device, and a run overwrites nothing of yours; leave --file out", path)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, fault.Usagef("--file %s: %w; the file's directory must exist", path, err)
	}
	defer dir.Close()
	if err := checkFilesystem(path, dir, kind); err != nil {
		return nil, err
	}
	t, err := newFile(dir, filepath.Base(path), false)
	switch {
	case errors.Is(err, unix.EEXIST):
		return nil, fault.Usagef("--file %s: the file exists and a run would overwrite it; name a file that does not exist", path)
	case errors.Is(err, unix.EROFS):
		return nil, fault.Usagef("--file %s: the file system is mounted read-only; choose a writable one", path)
	case err != nil:
		return nil, fault.Usagef("--file %s: %w", path, err)
	}
	t.Info.Path = path
	if err := errors.Join(checkDAX(path, t.Handle, kind), t.checkJournal(kind)); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

func (t *File) describe(scratch bool) error {
	var stat unix.Stat_t
	if err := unix.Fstat(int(t.Handle.Fd()), &stat); err != nil {
		return fmt.Errorf("stat %s: %w", t.Handle.Name(), err)
	}
	major, minor := unix.Major(stat.Dev), unix.Minor(stat.Dev)
	t.Info = record.File{Scratch: scratch, Inode: stat.Ino}
	// File systems that live in memory, and btrfs, have a number that is no block device's.
	if device, err := os.Readlink(fmt.Sprintf("/sys/dev/block/%d:%d", major, minor)); err == nil {
		t.Info.Device = filepath.Base(device)
	}
	return nil
}

// Reserve gives the file its size and its blocks. Without blocks, a full file
// system would fail the pin with EFAULT, which looks like a kernel's refusal.
func (t *File) Reserve(bytes int64) error {
	err := file.Allocate(t.Handle, 0, 0, bytes)
	if errors.Is(err, unix.EOPNOTSUPP) { // ext2 has no extents that could be marked unwritten
		err = t.fillWithZeros(bytes)
	}
	if err != nil {
		return fmt.Errorf("reserve %d MiB for the file-backed region: %w%s", bytes>>20, err,
			file.RoomAdvice(err, "free some space or choose a smaller --file-size"))
	}
	return nil
}

func (t *File) fillWithZeros(bytes int64) error {
	zeros := make([]byte, payload.ChunkBytes)
	for offset := int64(0); offset < bytes; offset += payload.ChunkBytes {
		if _, err := t.Handle.WriteAt(zeros[:min(payload.ChunkBytes, bytes-offset)], offset); err != nil {
			return err
		}
	}
	return file.Sync(t.Handle)
}

// ReopenDirect opens the file once more, past the page cache.
func (t *File) ReopenDirect(mode int) (*os.File, error) {
	f, err := file.Reopen(t.Handle, mode|unix.O_DIRECT)
	if err != nil {
		return nil, fmt.Errorf("open the file with O_DIRECT: %w", err)
	}
	return f, nil
}

// Close gives up the file and its blocks.
func (t *File) Close() error {
	if t == nil {
		return nil
	}
	var errs []error
	for _, f := range []*os.File{t.Handle, t.Dir} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	t.Handle, t.Dir = nil, nil
	return errors.Join(errs...)
}

// newServedFile takes the file that a server of the run's own has, which has no directory of use.
func newServedFile(served *os.File) (*File, error) {
	handle, err := file.Reopen(served, os.O_RDWR)
	if err != nil {
		return nil, err
	}
	t := &File{Handle: handle}
	if err := t.describe(true); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// newDeviceFile takes the scratch's loop device itself.
func newDeviceFile(loop *os.File) (*File, error) {
	f, err := os.OpenFile(loop.Name(), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	var stat unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &stat); err != nil {
		return nil, errors.Join(fmt.Errorf("stat %s: %w", loop.Name(), err), f.Close())
	}
	major, minor := unix.Major(stat.Rdev), unix.Minor(stat.Rdev)
	return &File{Handle: f, Info: record.File{Scratch: true, Device: filepath.Base(loop.Name()), Dev: major<<20 | minor}}, nil
}
