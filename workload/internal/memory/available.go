package memory

import (
	"errors"
	"fmt"

	"github.com/prometheus/procfs"
)

// Available is what could be had without swapping, in bytes, as the kernel
// estimates it.
func Available() (int64, error) {
	proc, err := procfs.NewDefaultFS()
	if err != nil {
		return 0, err
	}
	info, err := proc.Meminfo()
	if err != nil {
		return 0, fmt.Errorf("read /proc/meminfo: %w", err)
	}
	if info.MemAvailableBytes == nil {
		return 0, errors.New("/proc/meminfo has no MemAvailable; it came with Linux 3.14")
	}
	return int64(*info.MemAvailableBytes), nil
}
