package workload

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// account notes how many pages of the whole machine the kernel counts as dirty.
// A page that ext4 drops stays counted for ever, and in the end such pages
// throttle every writer.
func (r *run) account(pages *uint64) {
	n, err := dirtyPages()
	channel := &r.record.Channels.Accounting
	channel.State, channel.Why = stateOf(err)
	*pages = n
}

// dirtyPages reads nr_dirty of /proc/vmstat.
func dirtyPages() (uint64, error) {
	data, err := os.ReadFile("/proc/vmstat")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, "nr_dirty "); ok {
			return strconv.ParseUint(strings.TrimSpace(value), 10, 64)
		}
	}
	return 0, fmt.Errorf("/proc/vmstat has no nr_dirty")
}
