package filesystem

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/file"
	"umemstress/workload/internal/memory"
)

// Evict takes the file's pages, which nobody maps or pins, from the page cache, so
// that the next read finds what is on the disk. It checks that they are gone.
func (t *File) Evict(bytes int64) (err error) {
	// What the journal has is written in place by the second of the two.
	syncfs := func() error { return unix.Syncfs(int(t.Handle.Fd())) }
	if err := errors.Join(file.Again(syncfs), file.Again(syncfs)); err != nil {
		return fmt.Errorf("syncfs: %w", err)
	}
	if err := unix.Fadvise(int(t.Handle.Fd()), 0, bytes, unix.FADV_DONTNEED); err != nil {
		return fmt.Errorf("fadvise(FADV_DONTNEED): %w", err)
	}
	mapping, err := memory.MapFile(t.Handle, 0, int(bytes))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mapping.Close()) }()
	resident, err := memory.CachedPages(mapping.Bytes)
	if err == nil && resident > 0 {
		err = fmt.Errorf("%d pages stay in the page cache, so the disk cannot be read", resident)
	}
	return err
}
