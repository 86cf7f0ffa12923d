package workload

import (
	"fmt"
	"os"
	"strings"
)

// mappedDevice returns the number of the file system whose file is mapped at mem,
// as the probes see it: super_block.s_dev, major<<20 | minor. stat(2) gives that of
// the subvolume instead on btrfs; /proc/self/maps tells s_dev (fs/proc/task_mmu.c,
// show_map_vma).
func mappedDevice(mem []byte) (uint32, error) {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return 0, err
	}
	prefix := fmt.Sprintf("%x-", addressOf(mem))
	for line := range strings.Lines(string(maps)) {
		if !strings.HasPrefix(line, prefix) {
			continue
		}
		var addresses, permissions, offset string
		var major, minor uint32
		if _, err := fmt.Sscanf(line, "%s %s %s %x:%x", &addresses, &permissions, &offset, &major, &minor); err != nil {
			return 0, fmt.Errorf("/proc/self/maps: %q: %w", line, err)
		}
		return major<<20 | minor, nil
	}
	return 0, fmt.Errorf("/proc/self/maps has no mapping at %s", prefix)
}
