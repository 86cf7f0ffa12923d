package cgroup

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/sys/mountinfo"
)

// OOMGroup is the cgroup around this process and its children that the OOM killer takes
// as a whole (Documentation/admin-guide/cgroup-v2.rst, memory.oom.group); empty: none.
func OOMGroup() (string, error) {
	root, err := mountpoint(func(*mountinfo.Info) bool { return true })
	if err != nil || root == "" {
		return "", err
	}
	path, found, err := own()
	if err != nil || !found || strings.HasPrefix(path, "..") {
		return "", err
	}
	// The root comes, too: that of a cgroup namespace, as in a container, has the file.
	for group := filepath.Join(root, path); ; group = filepath.Dir(group) {
		set, err := IsSet(filepath.Join(group, "memory.oom.group"))
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

// IsSet says whether a file that holds a number holds another one than 0.
func IsSet(path string) (bool, error) {
	value, err := os.ReadFile(path)
	if err != nil {
		return false, err
	}
	return strings.TrimSpace(string(value)) != "0", nil
}
