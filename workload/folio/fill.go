package folio

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/file"
	"umemstress/workload/internal/memory"
)

// Filling is a file that is to be in the page cache, and what of it will be the region.
type Filling struct {
	File        *os.File
	Bytes       int64        // the file's length, which it has already
	From, Until int64        // the region's part of it
	Evict       func() error // takes it from the page cache; nil: the page cache is all there is
}

// writeBytes is what one write carries: the largest folio that the page cache makes (of a
// huge page's size), as far as a file system makes folios of the size of a write
// (include/linux/pagemap.h, fgf_set_order).
const writeBytes = 2 << 20

// fillLarge writes the file in large pieces, of which the page cache of newer kernels makes
// large folios: XFS since 6.6, ext4 since 6.16. Where that gives none, it reads the file one
// byte after the other, of which readahead makes them: XFS since 5.18.
func fillLarge(f Filling) error {
	if err := writeZeros(f.File, f.Bytes); err != nil {
		return err
	}
	if large, err := f.large(); err != nil || large || f.Evict == nil {
		return err
	}
	if err := f.Evict(); err != nil {
		return err
	}
	return readAll(f.File, f.Bytes)
}

func writeZeros(f *os.File, bytes int64) error {
	zeros := make([]byte, writeBytes)
	for offset := int64(0); offset < bytes; offset += writeBytes {
		if _, err := f.WriteAt(zeros[:min(writeBytes, bytes-offset)], offset); err != nil {
			return fmt.Errorf("write the file in large pieces: %w", err)
		}
	}
	return file.Sync(f)
}

func readAll(f *os.File, bytes int64) error {
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_SEQUENTIAL); err != nil {
		return fmt.Errorf("fadvise(FADV_SEQUENTIAL): %w", err)
	}
	if _, err := io.Copy(io.Discard, io.NewSectionReader(f, 0, bytes)); err != nil {
		return fmt.Errorf("read the file ahead: %w", err)
	}
	return nil
}

// large looks whether all of the region's part is held in large folios.
func (f Filling) large() (_ bool, err error) {
	r, err := memory.MapFile(f.File, f.From, int(f.Until-f.From))
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for at := 0; at < len(r.Bytes); at += os.Getpagesize() {
		_ = load(r.Bytes[at:]) // maps the page
	}
	pinned, err := Look(r)
	if err != nil {
		return false, fmt.Errorf("--folios large: %w", err)
	}
	for _, size := range pinned.Sizes() {
		if size.Bytes == os.Getpagesize() {
			return false, nil
		}
	}
	return true, nil
}

// load reads a byte, which no compiler may leave out.
//
//go:noinline
func load(mem []byte) byte { return mem[0] }
