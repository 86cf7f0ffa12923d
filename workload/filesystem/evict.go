package filesystem

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/file"
	"umemstress/workload/internal/memory"
)

// evictTries is how often a file's pages are asked to leave the page cache before those that
// stay are believed to stay. What somebody else holds for a moment (reclaim, compaction, a
// writeback of the whole machine) has let go by the last one, a second later.
const evictTries = 8

// Evict takes the file's pages, which nobody maps or pins, from the page cache, so
// that the next read finds what is on the disk. It checks that they are gone.
func (t *File) Evict(bytes int64) (err error) {
	look, err := memory.MapFile(t.Handle, 0, int(bytes))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, look.Close()) }()
	if err := file.Sync(t.Handle); err != nil {
		return fmt.Errorf("fsync: %w", err)
	}
	stay, err := evict(context.Background(), t.Handle, look)
	if err == nil && count(stay) > 0 {
		err = fmt.Errorf("%d pages stay in the page cache, so the disk cannot be read", count(stay))
	}
	return err
}

// evict takes all of a synced file from the page cache, and says which pages of a mapping of
// it stay nevertheless. A part of the file would not do: a folio that reaches beyond it stays.
func evict(ctx context.Context, f *os.File, look *memory.Region) (stay []bool, err error) {
	for try := 1; ; try++ {
		if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
			return nil, fmt.Errorf("fadvise(FADV_DONTNEED): %w", err)
		}
		stay, err := memory.CachedPages(look.Bytes)
		if err != nil || count(stay) == 0 || try == evictTries {
			return stay, err
		}
		// Pages whose data ext4 journals stay until it is written in place: the first of these
		// commits it to the journal, the second empties that.
		if err := file.Again(func() error { return unix.Syncfs(int(f.Fd())) }); err != nil {
			return nil, fmt.Errorf("syncfs: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Duration(try) * 30 * time.Millisecond):
		}
	}
}

// count counts the pages that something is true of.
func count(pages []bool) (n uint64) {
	for _, is := range pages {
		if is {
			n++
		}
	}
	return n
}
