// Package kmsg reads the kernel's log, tells what each line of it is about, whichever kernel and
// console it is of, and counts what it says about a file system.
package kmsg

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
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
func (k *Reader) Next() (string, bool, error) {
	for {
		// Not os.File.Read: it would wait for more instead of returning EAGAIN.
		n, err := unix.Read(int(k.file.Fd()), k.buffer)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EPIPE):
			k.Lost++ // at least one; the next read returns the oldest that is left
		case errors.Is(err, unix.EAGAIN):
			return "", false, nil
		case err != nil:
			return "", false, fmt.Errorf("read /dev/kmsg: %w", err)
		default:
			line, err := parse(k.buffer[:n])
			return line, err == nil, err
		}
	}
}

// Close ends it.
func (k *Reader) Close() error { return k.file.Close() }

// parse turns "level,sequence,microseconds,flags[,...];text\n KEY=value" into
// "[seconds] text".
func parse(record []byte) (string, error) {
	head, text, found := bytes.Cut(record, []byte(";"))
	fields := strings.Split(string(head), ",")
	if !found || len(fields) < 3 {
		return "", fmt.Errorf("/dev/kmsg: a record without a prefix: %q", record)
	}
	us, err := strconv.ParseUint(fields[2], 10, 64)
	if err != nil {
		return "", fmt.Errorf("/dev/kmsg: a record without a time: %q", record)
	}
	text, _, _ = bytes.Cut(text, []byte("\n"))
	return fmt.Sprintf("[%5d.%06d] %s", us/1e6, us%1e6, text), nil
}
