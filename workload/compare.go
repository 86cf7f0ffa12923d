package workload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// comparison counts the pages of a file that are not what they should be.
type comparison struct {
	checked   uint64
	different uint64
	old       uint64  // of these: exactly what the generation before was
	first     *uint64 // the first that is different
}

// directBuffer is how much is read or written at once, in bytes: large enough that
// the calls cost less than the comparison.
const directBuffer = 1 << 20

// compare reads bytes of file, page by page, and compares them with a generation
// of the payload.
func (p payload) compare(ctx context.Context, file io.ReaderAt, size int64, generation uint64) (c comparison, err error) {
	// O_DIRECT wants memory aligned to the device's blocks; a mapping is.
	buffer, err := mapAnonymous(directBuffer)
	if err != nil {
		return c, err
	}
	defer buffer.Close()
	want := make([]byte, p.pageSize)
	for offset := int64(0); offset < size; offset += directBuffer {
		if err := ctx.Err(); err != nil {
			return c, err
		}
		chunk := buffer.mem[:min(directBuffer, size-offset)]
		if _, err := file.ReadAt(chunk, offset); err != nil {
			return c, fmt.Errorf("read %d bytes at %d: %w", len(chunk), offset, err)
		}
		for at := 0; at < len(chunk); at += p.pageSize {
			page := uint64(offset+int64(at)) / uint64(p.pageSize)
			p.comparePage(chunk[at:at+p.pageSize], want, generation, page, &c)
		}
	}
	return c, nil
}

func (p payload) comparePage(got, want []byte, generation, page uint64, c *comparison) {
	c.checked++
	p.fill(want, generation, page)
	if bytes.Equal(got, want) {
		return
	}
	c.different++
	if c.first == nil {
		c.first = &page
	}
	p.fill(want, generation-1, page)
	if bytes.Equal(got, want) {
		c.old++
	}
}

// syncOutcome is how run.json writes the result of msync and fsync.
func syncOutcome(err error) string {
	var errno unix.Errno
	switch {
	case err == nil:
		return "0"
	case errors.Is(err, unix.EUCLEAN):
		return "EUCLEAN" // ErrnoName knows it by what file systems call it inside, EFSCORRUPTED
	case errors.As(err, &errno):
		return unix.ErrnoName(errno)
	}
	return err.Error()
}
