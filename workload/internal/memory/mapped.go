package memory

import (
	"fmt"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// DeviceOf returns the number of the file system whose file is mapped at mem,
// as the probes see it: super_block.s_dev, major<<20 | minor. stat(2) gives that of
// the subvolume instead on btrfs; /proc/self/maps tells s_dev (fs/proc/task_mmu.c,
// show_map_vma).
func DeviceOf(mem []byte) (uint32, error) {
	maps, err := mappings()
	if err != nil {
		return 0, err
	}
	for _, m := range maps {
		if m.StartAddr == AddressOf(mem) {
			return unix.Major(m.Dev)<<20 | unix.Minor(m.Dev), nil
		}
	}
	return 0, fmt.Errorf("/proc/self/maps has no mapping at %#x", AddressOf(mem))
}

// mappings returns this process's, in the order of their addresses.
func mappings() ([]*procfs.ProcMap, error) {
	self, err := procfs.Self()
	if err != nil {
		return nil, err
	}
	maps, err := self.ProcMaps()
	if err != nil {
		return nil, fmt.Errorf("read /proc/self/maps: %w", err)
	}
	return maps, nil
}
