package workload

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/sys/mountinfo"
)

// sparedByOOM says why the OOM killer, which is to find the hog first, could harm more
// than the hog on this machine: with an error of what the host lacks.
func sparedByOOM() error {
	for _, knob := range []string{"panic_on_oom", "oom_kill_allocating_task"} {
		set, err := isSet("/proc/sys/vm/" + knob)
		if err != nil {
			return err
		}
		if set {
			return lacksf("memory that runs out would harm this machine, since vm.%s is set; run 'sysctl vm.%s=0'", knob, knob)
		}
	}
	group, err := oomGroup()
	if err == nil && group != "" {
		err = lacksf("memory that runs out would end this run as well as its hog, since %s is set; run it in another cgroup, or write 0 there", filepath.Join(group, "memory.oom.group"))
	}
	return err
}

// oomGroup is the cgroup around this process and its children that the OOM killer takes
// as a whole (Documentation/admin-guide/cgroup-v2.rst, memory.oom.group); empty: none.
func oomGroup() (string, error) {
	root, err := cgroupMount(func(*mountinfo.Info) bool { return true })
	if err != nil || root == "" {
		return "", err
	}
	path, found, err := ownCgroup()
	if err != nil || !found || strings.HasPrefix(path, "..") {
		return "", err
	}
	// The root comes, too: that of a cgroup namespace, as in a container, has the file.
	for group := filepath.Join(root, path); ; group = filepath.Dir(group) {
		set, err := isSet(filepath.Join(group, "memory.oom.group"))
		if os.IsNotExist(err) { // the group does not control memory
			err = nil
		}
		if err != nil || set {
			return group, err
		}
		if group == root {
			return "", nil
		}
	}
}

// isSet says whether a file that holds a number holds another one than 0.
func isSet(path string) (bool, error) {
	value, err := os.ReadFile(path)
	if err != nil {
		return false, err
	}
	return strings.TrimSpace(string(value)) != "0", nil
}
