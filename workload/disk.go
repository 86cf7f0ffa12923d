package workload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// diskCheck compares a file on disk with the bytes that were written last.
type diskCheck struct {
	payload     payload
	sourcePages uint64 // page p of the file holds payload page p modulo this
	generation  uint64 // what was written last
}

// diskBuffer is how much is read at once, in bytes: large enough that the reads
// cost less than the comparison.
const diskBuffer = 1 << 20

// compare reads bytes of file, which is open with O_DIRECT, page by page.
func (d diskCheck) compare(ctx context.Context, file io.ReaderAt, size int64, result *DiskChannel) error {
	// O_DIRECT wants memory aligned to the device's blocks; a mapping is.
	buffer, err := unix.Mmap(-1, 0, diskBuffer, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return fmt.Errorf("mmap the read buffer: %w", err)
	}
	defer unix.Munmap(buffer)
	want := make([]byte, d.payload.pageSize)
	for offset := int64(0); offset < size; offset += diskBuffer {
		if err := ctx.Err(); err != nil {
			return err
		}
		chunk := buffer[:min(diskBuffer, size-offset)]
		if _, err := file.ReadAt(chunk, offset); err != nil {
			return fmt.Errorf("read %d bytes at %d from the disk: %w", len(chunk), offset, err)
		}
		for at := 0; at < len(chunk); at += len(want) {
			d.comparePage(chunk[at:at+len(want)], want, uint64(offset+int64(at))/uint64(len(want)), result)
		}
	}
	return nil
}

func (d diskCheck) comparePage(got, want []byte, page uint64, result *DiskChannel) {
	result.CheckedPages++
	d.payload.fill(want, d.generation, page%d.sourcePages)
	if bytes.Equal(got, want) {
		return
	}
	result.StalePages++
	if result.FirstStale == nil {
		result.FirstStale = &page
	}
	d.payload.fill(want, d.generation-1, page%d.sourcePages)
	if bytes.Equal(got, want) {
		result.OldPages++
	}
}

// syncOutcome is how run.json writes the result of msync and fsync.
func syncOutcome(err error) string {
	var errno unix.Errno
	switch {
	case err == nil:
		return "0"
	case errors.As(err, &errno):
		return unix.ErrnoName(errno)
	}
	return err.Error()
}

// fsync retries when a signal of Go's scheduler interrupted the call.
func fsync(f *os.File) error {
	for {
		if err := unix.Fsync(int(f.Fd())); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
