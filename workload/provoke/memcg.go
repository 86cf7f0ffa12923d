package provoke

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/sys/mountinfo"
	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"umemstress/workload/internal/fault"
)

// Cgroup is the memory cgroup of a program, whose page cache is charged to all its processes
// together.
type Cgroup struct {
	Path      string `json:"path"` // in its hierarchy, as /proc/PID/cgroup has it
	Processes int    `json:"processes"`
	FileBytes uint64 `json:"file_bytes"` // of page cache charged to it

	dir string // where the hierarchy is mounted, and the group in it
	v1  bool
}

// findCgroup finds the memory cgroup of a process, and refuses one that cannot be reclaimed.
func findCgroup(proc string, pid uint32) (*Cgroup, error) {
	c, err := cgroupOf(proc, pid)
	if err != nil {
		return nil, err
	}
	procs, err := os.ReadFile(filepath.Join(c.dir, "cgroup.procs"))
	if err != nil {
		return nil, fault.Lacksf("the processes of cgroup %s are not to be read: %w", c.Path, err)
	}
	c.Processes = bytes.Count(procs, []byte("\n"))
	if c.Path == "/" && !c.v1 && !c.has("memory.current") { // which the root alone has not
		return nil, errRoot
	}
	if !c.has(c.trigger()) {
		return nil, fault.Lacksf("cgroup %s has no %s: it takes Linux 5.19 and the memory controller (memory.reclaim), or memory cgroups of version 1; --by madvise does without", c.Path, c.trigger())
	}
	if c.FileBytes, err = c.cached(); err != nil {
		return nil, err
	}
	return c, nil
}

// errRoot is of a program that nobody has put into a group: reclaim of the root would be the whole
// machine's, and version 1 has none.
var errRoot = fault.Lacksf("the program is in the root of the memory cgroups, which is the whole machine; --by madvise takes the pages of the program alone")

func (c *Cgroup) has(file string) bool {
	_, err := os.Stat(filepath.Join(c.dir, file))
	return err == nil
}

// cgroupOf says where the memory cgroup of a process is.
func cgroupOf(proc string, pid uint32) (*Cgroup, error) {
	tree, err := procfs.NewFS(proc)
	if err != nil {
		return nil, err
	}
	process, err := tree.Proc(int(pid))
	if err != nil {
		return nil, Options{PID: pid}.gone()
	}
	groups, err := process.Cgroups()
	if err != nil {
		return nil, fault.Lacksf("the cgroups of process %d are not to be read: %w", pid, err)
	}
	is := func(v1 bool) func(procfs.Cgroup) bool {
		return func(g procfs.Cgroup) bool {
			return v1 && slices.Contains(g.Controllers, "memory") || !v1 && g.HierarchyID == 0
		}
	}
	for _, v1 := range []bool{true, false} { // where version 1 has the controller, version 2 lacks it
		i := slices.IndexFunc(groups, is(v1))
		if i < 0 {
			continue
		}
		c := &Cgroup{Path: groups[i].Path, v1: v1}
		if c.dir, err = c.mounted(); err != nil || c.dir != "" {
			return c, err
		}
	}
	return nil, fault.Lacksf("process %d is in no memory cgroup that is mounted here; --by madvise does without", pid)
}

// mounted is the directory of the group; empty: its hierarchy is not mounted, or does not have
// it.
func (c *Cgroup) mounted() (string, error) {
	if strings.HasPrefix(c.Path, "/..") { // outside of this process's cgroup namespace (cgroup_namespaces(7))
		return "", nil
	}
	mounts, err := mountinfo.GetMounts(func(m *mountinfo.Info) (skip, stop bool) {
		ours := m.FSType == "cgroup2" && !c.v1 || m.FSType == "cgroup" && c.v1 && slices.Contains(strings.Split(m.VFSOptions, ","), "memory")
		return !ours, false
	})
	if err != nil {
		return "", fmt.Errorf("read the mount table: %w", err)
	}
	for _, m := range mounts {
		below, err := filepath.Rel(m.Root, c.Path)
		if err == nil && filepath.IsLocal(below) {
			return filepath.Join(m.Mountpoint, below), nil
		}
	}
	return "", nil
}

// trigger is the file that has the kernel reclaim the group: memory.reclaim came with Linux
// 5.19 (94968384dde1).
func (c *Cgroup) trigger() string {
	if c.v1 {
		return "memory.force_empty"
	}
	return "memory.reclaim"
}

// cached is how much page cache is charged to the group and those below it.
func (c *Cgroup) cached() (uint64, error) {
	path := filepath.Join(c.dir, "memory.stat")
	stat, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, fault.Lacksf("cgroup %s has no memory controller; --by madvise does without", c.Path)
	}
	if err != nil {
		return 0, err
	}
	name := "file"
	if c.v1 {
		name = "total_cache"
	}
	for line := range strings.Lines(string(stat)) {
		if field := strings.Fields(line); len(field) == 2 && field[0] == name {
			return strconv.ParseUint(field[1], 10, 64)
		}
	}
	return 0, fmt.Errorf("%s has no %s", path, name)
}

// cgroupPasses is how often reclaim is asked: it deactivates an active page in one pass, passes
// over a referenced one in the next, and unmaps it in the third.
const cgroupPasses = 3

// reclaim has the kernel take the page cache of the group, and tells of how much.
func (c *Cgroup) reclaim(ctx context.Context) (asked uint64, err error) {
	for range cgroupPasses {
		there, err := c.cached()
		if err != nil || ctx.Err() != nil {
			return asked, errors.Join(err, ctx.Err())
		}
		amount := "0" // which is all, with memory.force_empty
		if !c.v1 {
			amount = strconv.FormatUint(there, 10)
		}
		if err := c.write(amount); err != nil {
			return asked, fmt.Errorf("reclaim cgroup %s: %w", c.Path, err)
		}
		asked += there
	}
	return asked, nil
}

// write asks once. Less may go than was asked for, since pinned pages stay (EAGAIN, and EBUSY of
// version 1), and a signal ends it, as Go sends its own threads. It goes without an os.File, to
// which EAGAIN is a reason to wait.
func (c *Cgroup) write(value string) error {
	fd, err := unix.Open(filepath.Join(c.dir, c.trigger()), unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = unix.Write(fd, []byte(value))
	if c.v1 && errors.Is(err, unix.EINVAL) { // mem_cgroup_force_empty_write, mm/memcontrol.c
		return errRoot
	}
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) || errors.Is(err, unix.EBUSY) {
		return nil
	}
	return err
}
