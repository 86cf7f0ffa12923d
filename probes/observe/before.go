package observe

import (
	"fmt"
	"os"
	"path"

	"github.com/moby/sys/mountinfo"
	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"umemstress/probes/event"
)

// locate finds out what is in a region that was pinned before anybody looked: its file and
// which pages of it, by the maps of its owner. It is false of memory whose writing would be no
// file's.
func (r *registry) locate(e *event.Event) bool {
	from, to := e.Region.Address, e.Region.Address+e.Region.Length
	m := r.mapping(e.Owner.PID, func(m *procfs.ProcMap) bool {
		return m.Inode != 0 && m.Perms.Shared && m.Perms.Write && from < uint64(m.EndAddr) && uint64(m.StartAddr) < to
	})
	if m == nil {
		return false
	}
	first, last := max(from, uint64(m.StartAddr)), min(to, uint64(m.EndAddr))-1
	e.Inode = event.Inode{Number: m.Inode, Device: unix.Major(m.Dev)<<20 | unix.Minor(m.Dev)}
	e.Index = (uint64(m.Offset) + first - uint64(m.StartAddr)) >> pageShift
	e.Pages = last>>pageShift - first>>pageShift + 1
	e.Filesystem = r.filesystem(e.Owner.PID, m)
	return true
}

const pageShift = 12

// magics are of file systems that are mounted nowhere, where the kernel keeps files without a
// name.
var magics = map[int64]string{
	unix.TMPFS_MAGIC: "tmpfs", unix.HUGETLBFS_MAGIC: "hugetlbfs", unix.RAMFS_MAGIC: "ramfs",
}

// filesystem is the type of the file system of a mapping's file; "" if it cannot be told.
func (r *registry) filesystem(pid uint32, m *procfs.ProcMap) string {
	var stat unix.Statfs_t
	file := fmt.Sprintf("%d/map_files/%x-%x", pid, m.StartAddr, m.EndAddr)
	if unix.Statfs(path.Join(r.proc, file), &stat) == nil && magics[stat.Type] != "" {
		return magics[stat.Type]
	}
	for _, mount := range r.mounts(unix.Major(m.Dev), unix.Minor(m.Dev)) {
		return mount.FSType
	}
	return ""
}

// mounts are those of a device.
func (r *registry) mounts(major, minor uint32) []*mountinfo.Info {
	f, err := os.Open(path.Join(r.proc, "self/mountinfo"))
	if err != nil {
		return nil
	}
	defer f.Close()
	mounts, err := mountinfo.GetMountsFromReader(f, func(m *mountinfo.Info) (skip, stop bool) {
		return m.Major != int(major) || m.Minor != int(minor), false
	})
	if err != nil {
		return nil
	}
	return mounts
}
