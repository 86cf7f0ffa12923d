package umem

import (
	"fmt"

	"github.com/prometheus/procfs"
)

// pinnedBytes returns how much memory of this process is pinned (mm->pinned_vm, which
// ib_umem_get raises and ib_umem_release lowers; VmPin of /proc/self/status).
func pinnedBytes() (uint64, error) {
	self, err := procfs.Self()
	if err != nil {
		return 0, err
	}
	status, err := self.NewStatus()
	if err != nil {
		return 0, fmt.Errorf("read /proc/self/status: %w", err)
	}
	return status.VmPin, nil
}
