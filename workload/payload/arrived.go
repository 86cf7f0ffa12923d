package payload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/file"
	"umemstress/workload/internal/memory"
)

// Arrived is what was seen of bytes in the memory that they came into.
type Arrived struct {
	Checked uint64   // pages
	Unseen  uint64   // pages that nobody could look at
	Corrupt []uint64 // pages that have other bytes than were sent
	Bytes   uint64   // of these: how many differ
	First   int64    // where in the region the first of them is

	Displaced uint64 // of the corrupt pages: those that begin with bytes that belong further on in them
}

// headBytes are those by which the beginning of a page is known for a part of it: fewer than any packet has.
const headBytes = 64

// displaced says of a page that is not what was sent whether it begins with what belongs further on in it, in one place and no other.
func displaced(got, want []byte) bool {
	head := got[:headBytes]
	return bytes.Index(want, head) > 0 && bytes.Count(want, head) == 1
}

// Looker looks at a region while somebody holds its pages, and leaves everything as it is. What
// a look would change is what a run is about, so it never has a page come:
//
//   - A page that the page table has is read there. Nothing faults, and what the processor notes of it
//     (the accessed bit) the fault that brought it has noted before.
//   - One that it has not, since a strip has unmapped it, is read from the page cache, if mincore(2) says that it is
//     there, and with RWF_NOWAIT, lest a disk be waited for. (That flag alone is not enough: 7.2 was seen to bring pages
//     of a hole in, which 5.10 does not.) The read attaches no buffers and dirties nothing, and
//     O_NOATIME keeps the inode clean. It marks the page
//     accessed, which matters to reclaim alone: so it must be over, as it is where pages were unmapped by it.
//   - One that neither has is not looked at.
//
// Whose pages may have been taken from their file is not to be asked about: the cache would then have
// others in their place.
type Looker struct {
	region *memory.Region
	cached *os.File // the file, for what is not mapped
	chunk  []byte
	want   []byte // a page

	// Of one look:
	payload    Payload
	generation uint64
	seen       Arrived
}

// NewLooker looks at a region of a file.
func NewLooker(region *memory.Region) (*Looker, error) {
	cached, err := file.Reopen(region.File, os.O_RDWR|unix.O_NOATIME)
	if errors.Is(err, unix.EPERM) { // somebody else's file
		cached, err = file.Reopen(region.File, os.O_RDWR)
	}
	if err != nil {
		return nil, fmt.Errorf("open the file to look at what arrives: %w", err)
	}
	return &Looker{region: region, cached: cached, chunk: make([]byte, ChunkBytes)}, nil
}

// Close may be called at any time.
func (l *Looker) Close() error {
	if l == nil {
		return nil
	}
	return l.cached.Close()
}

// Look compares all pages that can be seen with a generation.
func (l *Looker) Look(ctx context.Context, p Payload, generation uint64) (Arrived, error) {
	l.payload, l.generation, l.seen, l.want = p, generation, Arrived{}, make([]byte, p.PageSize)
	mapped, err := l.mapped()
	if err != nil {
		return Arrived{}, err
	}
	var present func(page int) bool // in the page cache; asked of pages that are not mapped
	size, pages := l.payload.PageSize, int(l.region.Length)/l.payload.PageSize
	for page := 0; page < pages; {
		if err := ctx.Err(); err != nil {
			return l.seen, err
		}
		run := alike(page, min(pages, page+ChunkBytes/size), mapped)
		if mapped(page) {
			l.compare(l.region.Bytes[page*size:][:run*size], page)
			page += run
			continue
		}
		if present == nil {
			if present, err = l.present(); err != nil {
				return l.seen, err
			}
		}
		if run = alike(page, page+run, present); !present(page) {
			l.seen.Unseen += uint64(run)
		} else if err := l.cache(page, run); err != nil {
			return l.seen, err
		}
		page += run
	}
	return l.seen, nil
}

// alike is how many pages from the first on, before the last, something says the same of.
func alike(first, last int, says func(page int) bool) int {
	n := 1
	for first+n < last && says(first+n) == says(first) {
		n++
	}
	return n
}

// present says of pages of the payload whether the page cache has all of each. It asks by a mapping of its
// own, which is never touched: the region may be unmapped.
func (l *Looker) present() (func(page int) bool, error) {
	look, err := memory.MapFile(l.cached, l.region.Offset, int(l.region.Length))
	if err != nil {
		return nil, err
	}
	cached, err := memory.CachedPages(look.Bytes)
	return l.whole(cached), errors.Join(err, look.Close())
}

// mapped says of pages of the payload whether the page table has all of each.
func (l *Looker) mapped() (func(page int) bool, error) {
	if l.region.Bytes == nil {
		return func(int) bool { return false }, nil
	}
	mapped, err := memory.Present(l.region.Bytes)
	return l.whole(mapped), err
}

// whole says of pages of the payload what is said of all of their pages of memory.
func (l *Looker) whole(said []bool) func(page int) bool {
	per := l.payload.PageSize / os.Getpagesize()
	return func(page int) bool { return !slices.Contains(said[page*per:][:per], false) }
}

// cache compares pages that are not mapped, and that the page cache has, or had a moment ago.
func (l *Looker) cache(first, pages int) error {
	size := l.payload.PageSize
	for at := 0; at < pages; {
		n, err := l.read(l.chunk[:(pages-at)*size], l.region.Offset+int64(first+at)*int64(size))
		switch {
		case err == nil, errors.Is(err, unix.EAGAIN):
		case errors.Is(err, unix.EOPNOTSUPP): // no file system of all that a run knows does more than that without
			l.seen.Unseen += uint64(pages - at)
			return nil
		default:
			return fmt.Errorf("read what arrived from the page cache: %w", err)
		}
		whole := max(n, 0) / size
		l.compare(l.chunk[:whole*size], first+at)
		if at += whole; whole == 0 {
			l.seen.Unseen++
			at++
		}
	}
	return nil
}

func (l *Looker) read(into []byte, offset int64) (n int, err error) {
	err = file.Again(func() error {
		n, err = unix.Preadv2(int(l.cached.Fd()), [][]byte{into}, offset, unix.RWF_NOWAIT)
		return err
	})
	return n, err
}

// compare compares whole pages, of which the first has that number.
func (l *Looker) compare(got []byte, page int) {
	size, seen := l.payload.PageSize, &l.seen
	for ; len(got) >= size; got, page = got[size:], page+1 {
		seen.Checked++
		l.payload.fill(l.want, l.generation, uint64(page))
		differ, first := differences(got[:size], l.want)
		if differ == 0 {
			continue
		}
		if len(seen.Corrupt) == 0 {
			seen.First = int64(page)*int64(size) + int64(first)
		}
		seen.Corrupt = append(seen.Corrupt, uint64(page))
		seen.Bytes += uint64(differ)
		if displaced(got[:size], l.want) {
			seen.Displaced++
		}
	}
}
