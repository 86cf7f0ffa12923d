package dio

import (
	"bytes"
	"fmt"
	"os"
	"strconv"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"umemstress/workload/holder"
)

// waits says whether a read has pinned its pages and waits for its device: its thread sleeps in
// it, and has handed all of it to the device, where the kernel counts that.
func waits(r holder.Reader) (bool, error) {
	if asleep, err := sleepsIn(r.Thread, unix.SYS_PREAD64); err != nil || !asleep {
		return false, err
	}
	now, err := holder.Submitted(r.Thread)
	return now == holder.NotCounted || now-r.Submitted >= int64(r.Bytes), err
}

// sleepsIn says whether a thread of this process sleeps uninterruptibly in the
// system call of the given number.
func sleepsIn(thread int, call uintptr) (bool, error) {
	self, err := procfs.Self()
	if err != nil {
		return false, err
	}
	t, err := self.Thread(thread)
	if err != nil {
		return false, err
	}
	stat, err := t.Stat()
	if err != nil || stat.State != "D" {
		return false, err
	}
	under, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/syscall", thread)) // "running", or the number and its arguments
	if err != nil {
		return false, err
	}
	number, _, _ := bytes.Cut(under, []byte{' '})
	return string(number) == strconv.FormatUint(uint64(call), 10), nil
}
