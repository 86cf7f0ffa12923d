package payload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/memory"
)

// Comparison counts the pages of a file that are not what they should be.
type Comparison struct {
	Checked   uint64
	Different uint64
	Old       uint64  // of these: exactly what the generation before was
	First     *uint64 // the first that is different
}

// ChunkBytes is how much is read or written at once, in bytes: large enough that
// the calls cost less than the comparison.
const ChunkBytes = 1 << 20

// Compare reads bytes of file, page by page, and compares them with a generation
// of the payload. Pages that are to be left out, if any, are read and not compared.
func (p Payload) Compare(ctx context.Context, file io.ReaderAt, size int64, generation uint64, leaveOut func(page uint64) bool) (c Comparison, err error) {
	// O_DIRECT wants memory aligned to the device's blocks; a mapping is.
	buffer, err := memory.MapAnonymous(ChunkBytes)
	if err != nil {
		return c, err
	}
	defer buffer.Close()
	// Into memory that is not there yet, btrfs of 7.2 takes a direct read through the page cache.
	memory.Touch(buffer.Bytes)
	want := make([]byte, p.PageSize)
	for offset := int64(0); offset < size; offset += ChunkBytes {
		if err := ctx.Err(); err != nil {
			return c, err
		}
		chunk := buffer.Bytes[:min(ChunkBytes, size-offset)]
		if _, err := file.ReadAt(chunk, offset); err != nil {
			return c, fmt.Errorf("read %d bytes at %d: %w", len(chunk), offset, err)
		}
		for at := 0; at < len(chunk); at += p.PageSize {
			page := uint64(offset+int64(at)) / uint64(p.PageSize)
			if leaveOut == nil || !leaveOut(page) {
				p.comparePage(chunk[at:at+p.PageSize], want, generation, page, &c)
			}
		}
	}
	return c, nil
}

func (p Payload) comparePage(got, want []byte, generation, page uint64, c *Comparison) {
	c.Checked++
	p.fill(want, generation, page)
	if bytes.Equal(got, want) {
		return
	}
	c.Different++
	if c.First == nil {
		c.First = &page
	}
	p.fill(want, generation-1, page)
	if bytes.Equal(got, want) {
		c.Old++
	}
}

// SyncAnswer is how run.json writes the result of msync and fsync.
func SyncAnswer(err error) string {
	var errno unix.Errno
	switch {
	case err == nil, errors.Is(err, unix.Errno(0)):
		return "0"
	case errors.Is(err, unix.EUCLEAN):
		return "EUCLEAN" // ErrnoName knows it by what file systems call it inside, EFSCORRUPTED
	case errors.As(err, &errno):
		return unix.ErrnoName(errno)
	}
	return err.Error()
}

// differences counts the bytes that differ, and says where the first is.
func differences(got, want []byte) (n, first int) {
	if bytes.Equal(got, want) {
		return 0, 0
	}
	for i := range got {
		if got[i] == want[i] {
			continue
		}
		if n == 0 {
			first = i
		}
		n++
	}
	return n, first
}
