package workload

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// pinnedKiB returns how much memory of this process is pinned, in KiB
// (mm->pinned_vm, which ib_umem_get raises and ib_umem_release lowers; VmPin of
// /proc/self/status).
func pinnedKiB() (uint64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmPin:"); ok {
			return strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		}
	}
	return 0, fmt.Errorf("/proc/self/status has no VmPin")
}
