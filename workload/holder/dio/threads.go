package dio

import (
	"bytes"
	"fmt"
	"os"
	"strconv"

	"github.com/prometheus/procfs"
)

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
