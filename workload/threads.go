package workload

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// sleepsIn says whether a thread of this process sleeps uninterruptibly in the
// system call of the given number.
func sleepsIn(thread int, call uintptr) (bool, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/stat", thread))
	if err != nil {
		return false, err
	}
	if !uninterruptible(stat) {
		return false, nil
	}
	under, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/syscall", thread)) // "running", or the number and its arguments
	if err != nil {
		return false, err
	}
	number, _, _ := bytes.Cut(under, []byte{' '})
	return string(number) == strconv.FormatUint(uint64(call), 10), nil
}

// uninterruptible reads the state from /proc/PID/stat: it follows the name, which
// may hold anything (Documentation/filesystems/proc.rst).
func uninterruptible(stat []byte) bool {
	after := stat[bytes.LastIndexByte(stat, ')')+1:]
	return bytes.HasPrefix(after, []byte(" D "))
}
