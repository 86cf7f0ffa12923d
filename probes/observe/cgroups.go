package observe

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const maxCgroups = 4096

// cgroups knows paths in the unified hierarchy by their ids, which are their inodes' numbers.
type cgroups struct {
	root  string // CgroupRoot
	paths map[uint64]string
}

// path names a cgroup. One that is gone, or of a host without the unified hierarchy, has no
// name.
func (c *cgroups) path(id uint64) string {
	if found, known := c.paths[id]; known {
		return found
	}
	if c.paths == nil || len(c.paths) >= maxCgroups {
		c.paths = map[uint64]string{}
	}
	c.paths[id] = "" // is looked for once
	_ = filepath.WalkDir(c.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil
		}
		if inode(path) != id {
			return nil
		}
		c.paths[id] = "/" + strings.Trim(strings.TrimPrefix(path, c.root), "/")
		return fs.SkipAll
	})
	return c.paths[id]
}

func inode(path string) uint64 {
	var stat unix.Stat_t
	if unix.Stat(path, &stat) != nil {
		return 0
	}
	return stat.Ino
}

// CgroupRoot is where the unified hierarchy is mounted.
const CgroupRoot = "/sys/fs/cgroup"

// CgroupIDs are those of a cgroup and of all below it: path is as in /proc/PID/cgroup, or
// within the root.
func CgroupIDs(root, path string) ([]uint64, error) {
	top := filepath.Join(root, strings.TrimPrefix(path, root))
	if _, err := os.Stat(filepath.Join(top, "cgroup.procs")); err != nil {
		return nil, err
	}
	var ids []uint64
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			ids = append(ids, inode(path))
		}
		return nil
	})
	return ids, err
}
