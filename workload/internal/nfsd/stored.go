package nfsd

import (
	"io"
	"os"

	"github.com/go-git/go-billy/v5"
)

// stored is the content of a file that is in another one.
type stored struct{ backing *os.File }

func (s stored) size() (int64, error) {
	info, err := s.backing.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (s stored) open() billy.File { return &storedFile{backing: s.backing} }
func (s stored) writable() bool   { return true }

// storedFile is the file when it is open.
type storedFile struct {
	billy.File // nil: see below for what go-nfs calls
	backing    *os.File
	at         int64
}

func (f *storedFile) Name() string { return fileName }

func (f *storedFile) ReadAt(into []byte, at int64) (int, error) { return f.backing.ReadAt(into, at) }

func (f *storedFile) Seek(offset int64, whence int) (int64, error) {
	if whence != io.SeekStart {
		return 0, os.ErrInvalid
	}
	f.at = offset
	return offset, nil
}

func (f *storedFile) Write(bytes []byte) (int, error) {
	n, err := f.backing.WriteAt(bytes, f.at)
	f.at += int64(n)
	return n, err
}

func (f *storedFile) Truncate(size int64) error { return f.backing.Truncate(size) }

func (f *storedFile) Close() error { return nil }
