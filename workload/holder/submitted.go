package holder

import (
	"errors"
	"os"

	"github.com/prometheus/procfs"
)

// NotCounted is what is known of a thread's reads where the kernel does not count them
// (CONFIG_TASK_IO_ACCOUNTING).
const NotCounted = -1

// Submitted is how many bytes of reads a thread of this process has handed to block devices
// (block/blk-core.c, submit_bio; read_bytes of /proc/PID/task/TID/io), or NotCounted. The pages of a
// direct read are pinned by then.
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
	if errors.Is(err, os.ErrNotExist) {
		return NotCounted, nil
	}
	return int64(io.ReadBytes), err
}
