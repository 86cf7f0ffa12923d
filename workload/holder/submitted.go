package holder

import (
	"errors"
	"fmt"
	"os"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// NotCounted is what is known of a thread's reads where the kernel does not count them
// (CONFIG_TASK_IO_ACCOUNTING).
const NotCounted = -1

// Submitted is how many bytes of reads a thread of this process has handed to block devices
// (block/blk-core.c, submit_bio; read_bytes of /proc/PID/task/TID/io), or NotCounted. The pages of a
// direct read are pinned by then. Of a thread that has ended it is os.ErrNotExist.
func Submitted(thread int) (bytes int64, err error) {
	self, err := procfs.Self()
	if err != nil {
		return 0, err
	}
	t, err := self.Thread(thread)
	if err != nil {
		return 0, err
	}
	io, err := t.IO()
	switch {
	case errors.Is(err, unix.ESRCH): // it ended between the file's opening and its reading
		return 0, fmt.Errorf("thread %d: %w", thread, os.ErrNotExist)
	case errors.Is(err, os.ErrNotExist):
		if _, err := self.Thread(thread); err != nil { // it ended, and its files with it
			return 0, err
		}
		return NotCounted, nil
	}
	return int64(io.ReadBytes), err
}
