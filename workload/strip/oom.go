package strip

import (
	"path/filepath"

	"umemstress/workload/internal/cgroup"
	"umemstress/workload/internal/fault"
)

// sparedByOOM says why the OOM killer, which is to find the hog first, could harm more
// than the hog on this machine: with an error of what the host lacks.
func sparedByOOM() error {
	for _, knob := range []string{"panic_on_oom", "oom_kill_allocating_task"} {
		set, err := cgroup.IsSet("/proc/sys/vm/" + knob)
		if err != nil {
			return err
		}
		if set {
			return fault.Lacksf("memory that runs out would harm this machine, since vm.%s is set; run 'sysctl vm.%s=0'", knob, knob)
		}
	}
	group, err := cgroup.OOMGroup()
	if err == nil && group != "" {
		err = fault.Lacksf("memory that runs out would end this run as well as its hog, since %s is set; run it in another cgroup, or write 0 there", filepath.Join(group, "memory.oom.group"))
	}
	return err
}
