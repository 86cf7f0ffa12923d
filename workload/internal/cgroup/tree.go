package cgroup

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"
	"github.com/prometheus/procfs"

	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/mount"
)

// openTree opens the root of the v2 hierarchy: where it is mounted or, where no
// mount can be used, a mount of its own that is attached nowhere. That comes second,
// because mounting it from the first cgroup namespace resets nsdelegate and the
// other options of all its mounts (kernel/cgroup/cgroup.c, apply_cgroup_root_flags).
func openTree() (*os.File, error) {
	mountpoint, err := mountpoint(func(m *mountinfo.Info) bool { return !slices.Contains(strings.Split(m.Options, ","), "ro") })
	if err != nil {
		return nil, err
	}
	if mountpoint == "" {
		tree, err := mount.Detached("cgroup2", "none", nil)
		if err != nil {
			return nil, fault.Lacksf("strip memcg: no cgroup v2 hierarchy is mounted that can be written, and none can be mounted: %w", err)
		}
		return tree, nil
	}
	tree, err := os.Open(mountpoint)
	if err != nil {
		return nil, fault.Lacksf("strip memcg: open the cgroup v2 hierarchy: %w", err)
	}
	return tree, nil
}

// mountpoint is where the root of the v2 hierarchy is mounted, on a mount that suits;
// empty: nowhere.
func mountpoint(suits func(*mountinfo.Info) bool) (string, error) {
	mounts, err := mountinfo.GetMounts(func(m *mountinfo.Info) (skip, stop bool) {
		found := m.FSType == "cgroup2" && m.Root == "/" && suits(m)
		return !found, found
	})
	if err != nil {
		return "", fmt.Errorf("read the mount table: %w", err)
	}
	if len(mounts) == 0 {
		return "", nil
	}
	return mounts[0].Mountpoint, nil
}

// own is the v2 group of this process, from the root of the hierarchy: "" is the
// root itself, and a path that begins with ".." lies outside of the process's cgroup
// namespace. It is not found where the process is in none.
func own() (path string, found bool, err error) {
	self, err := procfs.Self()
	if err != nil {
		return "", false, err
	}
	groups, err := self.Cgroups()
	if err != nil {
		return "", false, fmt.Errorf("read /proc/self/cgroup: %w", err)
	}
	for _, g := range groups {
		if g.HierarchyID == 0 { // of v2 (cgroups(7))
			return strings.TrimPrefix(g.Path, "/"), true, nil
		}
	}
	return "", false, nil
}
