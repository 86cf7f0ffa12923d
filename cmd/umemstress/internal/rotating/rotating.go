// Package rotating writes lines to a file that is set aside once it is full: FILE becomes FILE.1,
// that FILE.2, and so on. Who has log files turned over by another program asks it to open its
// file anew.
//
// A line is in one file, and no other program's file is written over. gopkg.in/natefinch/lumberjack.v2
// does neither: it follows what it finds at its path, a pipe or a symbolic link, leaves the half of
// a line where the disk was full, and gives two files that are full in one millisecond one name.
package rotating

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// A usage error is of a path that is not one to write to.
type usage struct{ error }

// Usage marks the error as the caller's.
func (usage) Usage() bool { return true }

// Unwrap is the error's reason.
func (u usage) Unwrap() error { return u.error }

func usagef(format string, args ...any) error { return usage{fmt.Errorf(format, args...)} }

// A File is written by one goroutine at a time. ReopenSoon may be called by any.
type File struct {
	path string
	size int64 // bytes; 0: it is never full
	keep int   // how many are kept beside it

	file  *os.File
	bytes int64 // in it
	full  int64 // bytes at which it is set aside
	cut   bool  // what it ends with is no whole line
	asked atomic.Bool
}

// Open opens a file for lines to be added to, or makes it. It is set aside before it has more than
// size bytes (0: never), and keep of those set aside are kept.
func Open(path string, size int64, keep int) (*File, error) {
	f := &File{path: path, size: size, keep: keep}
	if err := f.open(0o600); err != nil {
		return nil, err
	}
	return f, nil
}

// open opens what is at the path, and leaves the file that was open until then.
func (f *File) open(mode fs.FileMode) error {
	if err := refuse(f.path); err != nil {
		return err
	}
	// What came to the path since it was looked at is neither followed nor waited for.
	file, err := os.OpenFile(f.path, os.O_RDWR|os.O_CREATE|os.O_APPEND|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY, mode)
	if errors.Is(err, fs.ErrNotExist) {
		return usagef("%w; make its directory first", err)
	}
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: it is no file any more", f.path)
	}
	cut := false
	if err == nil && info.Size() > 0 {
		cut, err = cutOff(file, info.Size())
	}
	if err != nil {
		return errors.Join(err, file.Close())
	}
	old := f.file
	f.file, f.bytes, f.full, f.cut = file, info.Size(), f.size, cut
	if old != nil {
		return old.Close()
	}
	return nil
}

// refuse says what is wrong with a path where something other than a file is.
func refuse(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ENAMETOOLONG) || errors.Is(err, unix.ELOOP) {
		return usage{err}
	} else if err != nil {
		return err
	}
	switch mode := info.Mode(); {
	case mode.IsDir():
		return usagef("%s: it is a directory; name a file in it", path)
	case mode&fs.ModeSymlink != 0:
		return usagef("%s: it is a symbolic link, and setting the file aside would take the link alone; name the file that it leads to", path)
	case mode&fs.ModeNamedPipe != 0:
		return usagef("%s: it is a pipe, which cannot be set aside; have standard output led into it", path)
	case !mode.IsRegular():
		return usagef("%s: it is no file; have standard output led to it", path)
	}
	return nil
}

// cutOff says whether a file that is not empty ends within a line.
func cutOff(file *os.File, size int64) (bool, error) {
	var last [1]byte
	_, err := file.ReadAt(last[:], size-1)
	return last[0] != '\n', err
}

// Write writes a line, or several that belong together, the last with its end. What could not be
// written is not in the file, not even in part, and Write may be called again. An error that is a
// [Misplaced] is of a line that is written.
func (f *File) Write(line []byte) (int, error) {
	misplaced := f.Reopen()
	if misplaced == nil && f.full > 0 && f.bytes > 0 && f.bytes+int64(len(line)) > f.full {
		if err := f.setAside(); err != nil {
			f.full = f.bytes + f.size // not at every line
			misplaced = &Misplaced{fmt.Errorf("%w; the lines go to the file that is full", err)}
		}
	}
	whole := line
	if f.cut {
		whole = append([]byte{'\n'}, line...)
	}
	n, err := f.file.Write(whole)
	f.bytes += int64(n)
	if err == nil {
		f.cut = false
		return len(line), misplaced
	}
	if n > 0 {
		if undone := f.file.Truncate(f.bytes - int64(n)); undone != nil {
			f.cut = true
		} else {
			f.bytes -= int64(n)
		}
	}
	return 0, err
}

// Misplaced is what went wrong around lines that are written all the same: the file could not be
// set aside, or not be opened anew.
type Misplaced struct{ err error }

func (m *Misplaced) Error() string { return m.err.Error() }

// Unwrap is the error's reason.
func (m *Misplaced) Unwrap() error { return m.err }

// setAside has the file's name, and those of the files set aside before, counted up, and begins
// anew. It may have come half of the way before.
func (f *File) setAside() error {
	if f.keep == 0 {
		if err := f.file.Truncate(0); err != nil {
			return err
		}
		f.bytes, f.cut = 0, false
		return nil
	}
	info, err := f.file.Stat()
	if err != nil {
		return err
	}
	_, err = os.Lstat(f.path)
	if err == nil {
		err = f.shift()
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return f.open(info.Mode().Perm())
}

// shift begins with the oldest, so that no file but that is lost, wherever it ends.
func (f *File) shift() error {
	for i := f.keep; i > 0; i-- {
		from := f.path
		if i > 1 {
			from = fmt.Sprintf("%s.%d", f.path, i-1)
		}
		if err := os.Rename(from, fmt.Sprintf("%s.%d", f.path, i)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// ReopenSoon has what is at the path opened at the next Reopen or Write: another program has set
// the file aside.
func (f *File) ReopenSoon() { f.asked.Store(true) }

// Reopen does it if it was asked for. Its errors are [Misplaced].
func (f *File) Reopen() error {
	if !f.asked.Swap(false) {
		return nil
	}
	if err := f.open(0o600); err != nil {
		return &Misplaced{fmt.Errorf("%w; the lines go to the file that was open before", err)}
	}
	return nil
}

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }
