package witness

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"umemstress/workload/record"
)

// openWarningCount reads the count before anything is pinned.
func (w *Watch) openWarningCount() {
	channel := &w.channels.WarningCount
	var err error
	channel.Before, err = warningCount(w.file.Device)
	switch {
	case err != nil:
		channel.State, channel.Why = record.StateAbsent, err.Error()
	case channel.Before == nil:
		channel.State, channel.Why = record.StateAbsent, "no ext4 with a warning_count (Linux 5.8) lies on the file's device"
	default:
		channel.State = record.StateOK
	}
}

func (w *Watch) tallyWarningCount() {
	channel := &w.channels.WarningCount
	if channel.State != record.StateOK {
		return
	}
	after, err := warningCount(w.file.Device)
	if err == nil && after == nil {
		err = errors.New("the file system on the device is gone")
	}
	if err != nil {
		channel.State, channel.Why = record.StateFailed, err.Error()
		return
	}
	channel.After = after
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
