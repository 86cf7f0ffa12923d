// Package devkmsg follows this machine's kernel log.
package devkmsg

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"umemstress/probes/kmsg"
)

// Reader follows the kernel's log from the moment it was opened
// (Documentation/ABI/testing/dev-kmsg).
type Reader struct {
	file   *os.File
	buffer []byte
	Lost   uint64 // records overwritten before they were read
}

// recordMax is the longest record that a read of /dev/kmsg returns
// (PRINTK_MESSAGE_MAX, kernel/printk/internal.h; CONSOLE_EXT_LOG_MAX before).
const recordMax = 8192

// Open begins at the end of the log.
func Open() (*Reader, error) {
	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/kmsg: %w", err)
	}
	if _, err := unix.Seek(fd, 0, io.SeekEnd); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("seek to the end of /dev/kmsg: %w", err)
	}
	return &Reader{file: os.NewFile(uintptr(fd), "/dev/kmsg"), buffer: make([]byte, recordMax)}, nil
}

// Next returns the next line of the log as "[seconds] text", or false when there
// is none yet. It does not block.
func (r *Reader) Next() (string, bool, error) {
	for {
		// Not os.File.Read: it would wait for more instead of returning EAGAIN.
		n, err := unix.Read(int(r.file.Fd()), r.buffer)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EPIPE):
			r.Lost++ // at least one; the next read returns the oldest that is left
		case errors.Is(err, unix.EAGAIN):
			return "", false, nil
		case err != nil:
			return "", false, fmt.Errorf("read /dev/kmsg: %w", err)
		default:
			line, err := kmsg.Record(r.buffer[:n])
			return line, err == nil, err
		}
	}
}

// Close ends it.
func (r *Reader) Close() error { return r.file.Close() }
