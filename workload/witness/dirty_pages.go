package witness

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// DirtyPages reads nr_dirty of /proc/vmstat: how many pages of the whole machine are
// dirty.
func DirtyPages() (uint64, error) {
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
