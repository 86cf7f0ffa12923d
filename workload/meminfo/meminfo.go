// Package meminfo answers one question: how much memory has this machine, and how much of it is to
// be had?
package meminfo

import (
	"errors"
	"fmt"

	"github.com/prometheus/procfs"
)

// Memory is that of a machine, in bytes.
type Memory struct {
	Total     int64
	Available int64 // without swapping, as the kernel estimates it
	Hugepage  int64 // a huge page of the default size; 0: the kernel has none
}

// Read asks the kernel.
func Read() (Memory, error) { return read("/proc") }

func read(proc string) (Memory, error) {
	fs, err := procfs.NewFS(proc)
	if err != nil {
		return Memory{}, err
	}
	info, err := fs.Meminfo()
	switch {
	case err != nil:
		return Memory{}, fmt.Errorf("read /proc/meminfo: %w", err)
	case info.MemTotalBytes == nil:
		return Memory{}, errors.New("/proc/meminfo has no MemTotal; is it the kernel's?")
	case info.MemAvailableBytes == nil:
		return Memory{}, errors.New("/proc/meminfo has no MemAvailable; it came with Linux 3.14")
	}
	m := Memory{Total: int64(*info.MemTotalBytes), Available: int64(*info.MemAvailableBytes)}
	if info.HugepagesizeBytes != nil {
		m.Hugepage = int64(*info.HugepagesizeBytes)
	}
	return m, nil
}
