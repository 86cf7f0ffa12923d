package workload

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// kmsgReader follows the kernel's log from the moment it was opened
// (Documentation/ABI/testing/dev-kmsg).
type kmsgReader struct {
	file   *os.File
	buffer []byte
	lost   uint64 // records overwritten before they were read
}

// kmsgRecordMax is the longest record that a read of /dev/kmsg returns
// (PRINTK_MESSAGE_MAX, kernel/printk/internal.h; CONSOLE_EXT_LOG_MAX before).
const kmsgRecordMax = 8192

func openKmsg() (*kmsgReader, error) {
	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/kmsg: %w", err)
	}
	if _, err := unix.Seek(fd, 0, io.SeekEnd); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("seek to the end of /dev/kmsg: %w", err)
	}
	return &kmsgReader{file: os.NewFile(uintptr(fd), "/dev/kmsg"), buffer: make([]byte, kmsgRecordMax)}, nil
}

// next returns the next line of the log as "[seconds] text", or false when there
// is none yet. It does not block.
func (k *kmsgReader) next() (string, bool, error) {
	for {
		// Not os.File.Read: it would wait for more instead of returning EAGAIN.
		n, err := unix.Read(int(k.file.Fd()), k.buffer)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EPIPE):
			k.lost++ // at least one; the next read returns the oldest that is left
		case errors.Is(err, unix.EAGAIN):
			return "", false, nil
		case err != nil:
			return "", false, fmt.Errorf("read /dev/kmsg: %w", err)
		default:
			line, err := parseKmsg(k.buffer[:n])
			return line, err == nil, err
		}
	}
}

func (k *kmsgReader) Close() error { return k.file.Close() }

// parseKmsg turns "level,sequence,microseconds,flags[,...];text\n KEY=value" into
// "[seconds] text".
func parseKmsg(record []byte) (string, error) {
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

// kmsgCounter counts what the kernel says about the file system on one block
// device.
type kmsgCounter struct {
	device string
	counts KmsgChannel
}

// What kernels print:
//
//	EXT4-fs warning (device loop0): ext4_writepages...: page 7 does not have buffers attached   (fs/ext4/inode.c, mpage_prepare_extent_to_map)
//	EXT4-fs warning: 8182 callbacks suppressed   (lib/ratelimit.c)
//	WARNING: CPU: 1 PID: 152 at fs/ext4/inode.c:3707 ext4_set_page_dirty+0x48/0x50 [ext4]   (kernel/panic.c, __warn)
var (
	bufferlessLine = regexp.MustCompile(`EXT4-fs warning \(device ([^)]+)\): .* does not have buffers attached`)
	suppressedLine = regexp.MustCompile(`EXT4-fs warning: ([0-9]+) callbacks suppressed`)
	warningLine    = regexp.MustCompile(`\] WARNING: .* at fs/`)
)

func (c *kmsgCounter) add(line string) {
	if m := bufferlessLine.FindStringSubmatch(line); m != nil && m[1] == c.device {
		c.counts.BufferlessPages++
	} else if m := suppressedLine.FindStringSubmatch(line); m != nil {
		n, _ := strconv.ParseUint(m[1], 10, 64) // digits only, by the expression
		c.counts.Suppressed += n
	} else if warningLine.MatchString(line) {
		c.counts.Warnings++
	}
}

// warningCount reads how many warnings the ext4 file system on a device has
// counted since it was mounted; nil where the kernel does not tell (before
// Linux 5.8).
func warningCount(device string) (*uint64, error) {
	data, err := os.ReadFile(filepath.Join("/sys/fs/ext4", device, "warning_count"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(data)), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("/sys/fs/ext4/%s/warning_count: %w", device, err)
	}
	return &n, nil
}
