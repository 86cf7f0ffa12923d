package hog

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// oomKills is how many processes the kernel's OOM killer has killed since the boot, those of
// a cgroup's limit included (mm/oom_kill.c, __oom_kill_process). It counts before it kills.
func oomKills() (uint64, error) {
	text, err := os.ReadFile("/proc/vmstat")
	if err != nil {
		return 0, err
	}
	return oomKillsIn(string(text))
}

func oomKillsIn(vmstat string) (uint64, error) {
	for line := range strings.Lines(vmstat) {
		if count, ours := strings.CutPrefix(line, "oom_kill "); ours {
			n, err := strconv.ParseUint(strings.TrimSpace(count), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("/proc/vmstat: oom_kill: %w", err)
			}
			return n, nil
		}
	}
	return 0, errors.New("/proc/vmstat has no oom_kill; it came with Linux 4.13")
}
