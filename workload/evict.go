package workload

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// evict takes the file's pages, which nobody maps or pins, from the page cache, so
// that the next read finds what is on the disk. It checks that they are gone.
func (t *target) evict(bytes int64) (err error) {
	// What the journal has is written in place by the second of the two.
	if err := errors.Join(unix.Syncfs(int(t.file.Fd())), unix.Syncfs(int(t.file.Fd()))); err != nil {
		return fmt.Errorf("syncfs: %w", err)
	}
	if err := unix.Fadvise(int(t.file.Fd()), 0, bytes, unix.FADV_DONTNEED); err != nil {
		return fmt.Errorf("fadvise(FADV_DONTNEED): %w", err)
	}
	mapping, err := mapFile(t.file, int(bytes))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mapping.Close()) }()
	resident, err := cachedPages(mapping.mem)
	if err == nil && resident > 0 {
		err = fmt.Errorf("%d pages stay in the page cache, so the disk cannot be read", resident)
	}
	return err
}

// cachedPages counts the pages of a mapping's file that are in the page cache.
func cachedPages(mem []byte) (int, error) {
	states := make([]byte, len(mem)/os.Getpagesize())
	if err := mincore(mem, states); err != nil {
		return 0, fmt.Errorf("mincore: %w", err)
	}
	cached := 0
	for _, state := range states {
		cached += int(state & 1)
	}
	return cached, nil
}
