// Package cgroup makes a cgroup of the run's own with the memory controller, and finds the
// group that the OOM killer takes as a whole.
package cgroup

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"umemstress/workload/child"
	"umemstress/workload/internal/fault"
)

// Group is a group of the v2 hierarchy that this process made for itself, with
// the memory controller. It is the only child of a group that does nothing but ask for
// the controller: as long as that one does, nobody can take the controller away from
// its parent (EBUSY), another run that ends least of all.
type Group struct {
	tree    *os.File // the root of the hierarchy
	path    string   // of the group
	origin  string   // of the group that this process came from
	inside  bool     // this process is in it
	janitor *child.Janitor
}

// undo removes the group $1 and its parent $2 and, if $3 is the parent of both,
// takes the memory controller from the children of $3 again. A process that was killed
// stays in its group until all its files are closed, pinned memory included. The
// controller stays where somebody else has begun to use it.
const undo = `
	for group in "$1" "$2"; do
		tries=0
		while [ -d "$group" ] && ! rmdir "$group" 2>/dev/null; do
			tries=$((tries + 1))
			[ $tries -lt 600 ] || { rmdir "$group"; exit; }
			sleep 0.1
		done
	done
	[ -z "$3" ] || { echo -memory >"$3/cgroup.subtree_control"; } 2>/dev/null || :`

// treeOfChild is the root of the hierarchy for the shell that undoes.
const treeOfChild = "/proc/self/fd/3"

// New makes the group. Nothing is in it yet.
func New() (_ *Group, err error) {
	c := &Group{}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	if c.tree, err = openTree(); err != nil {
		return nil, err
	}
	if err = c.findOrigin(); err != nil {
		return nil, err
	}
	parent, enable, err := c.chooseParent()
	if err != nil {
		return nil, err
	}
	// The number tells the groups of processes apart that have the same PID, in two
	// containers.
	asking := filepath.Join(parent, fmt.Sprintf("umemstress-%d-%08x", os.Getpid(), rand.Uint32()))
	c.path = filepath.Join(asking, "run")
	disable := ""
	if enable {
		disable = filepath.Join(treeOfChild, parent)
	}
	// The shell stays in the group of origin, which therefore does not become empty: a
	// service manager would remove it.
	if c.janitor, err = child.StartJanitor([]*os.File{c.tree}, undo,
		filepath.Join(treeOfChild, c.path), filepath.Join(treeOfChild, asking), disable); err != nil {
		return nil, err
	}
	return c, c.make(parent, asking)
}

// makeTries bounds how often the controller can be taken away between two steps by
// another run that ends.
const makeTries = 5

// make makes the two groups.
func (c *Group) make(parent, asking string) (err error) {
	if err := unix.Mkdir(c.file(asking), 0o755); err != nil {
		return fault.Lacksf("strip memcg: make a cgroup: %w; it takes root and a cgroup v2 hierarchy that can be written", err)
	}
	for range makeTries {
		if err = c.write(filepath.Join(parent, "cgroup.subtree_control"), "+memory"); err != nil {
			return fault.Lacksf("strip memcg: give the children of the cgroup %q the memory controller: %w; run as root, outside of a container", filepath.Join("/", parent), err)
		}
		err = c.write(filepath.Join(asking, "cgroup.subtree_control"), "+memory")
		if !errors.Is(err, unix.ENOENT) { // the group does not have it
			break
		}
	}
	if err == nil {
		err = unix.Mkdir(c.file(c.path), 0o755)
	}
	if err != nil {
		return fmt.Errorf("strip memcg: make a cgroup with the memory controller: %w", err)
	}
	return nil
}

// findOrigin remembers the group of this process, to which it will return.
func (c *Group) findOrigin() error {
	path, found, err := own()
	switch {
	case err != nil:
		return fault.Lacksf("strip memcg: %w; the kernel has no cgroups", err)
	case !found:
		return fault.Lacksf("strip memcg: this process is in no cgroup of version 2 (/proc/self/cgroup); boot with systemd.unified_cgroup_hierarchy=1")
	case strings.HasPrefix(path, ".."):
		return fault.Lacksf("strip memcg: this process is in a cgroup outside of its cgroup namespace, to which it could not return (/proc/self/cgroup); run it in the namespace of its cgroup")
	}
	c.origin = path
	return nil
}

// chooseParent says where the group goes and whether the memory controller has to be
// enabled for it. The parent of our own group is best: what limits us limits it as
// well. Only groups without processes can give their children a controller, so
// elsewhere it is the root, which may have both.
func (c *Group) chooseParent() (parent string, enable bool, err error) {
	if c.origin != "" {
		parent := filepath.Dir(c.origin)
		if c.hasMemory(filepath.Join(parent, "cgroup.subtree_control")) {
			return parent, false, nil
		}
	}
	if !c.hasMemory("cgroup.controllers") {
		return "", false, fault.Lacksf("strip memcg: the cgroup v2 hierarchy has no memory controller: boot without cgroup_disable=memory, and with systemd.unified_cgroup_hierarchy=1 if version 1 has it")
	}
	return ".", !c.hasMemory("cgroup.subtree_control"), nil
}

func (c *Group) hasMemory(file string) bool {
	data, err := os.ReadFile(c.file(file))
	return err == nil && slices.Contains(strings.Fields(string(data)), "memory")
}

// file is the path of a file of the hierarchy for this process.
func (c *Group) file(path string) string {
	return filepath.Join(fmt.Sprintf("/proc/self/fd/%d", c.tree.Fd()), path)
}

// write writes a file of the hierarchy. It does so without an os.File: these files
// can be polled, and Go would take EAGAIN, which memory.reclaim returns, for a reason to
// wait.
func (c *Group) write(path, value string) error {
	fd, err := unix.Open(c.file(path), unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = unix.Write(fd, []byte(value))
	return err
}

// Set writes one of the group's files.
func (c *Group) Set(name, value string) error {
	if err := c.write(filepath.Join(c.path, name), value); err != nil {
		return fmt.Errorf("strip memcg: write %s to %s: %w", value, name, err)
	}
	return nil
}

// Has says whether the group has the file.
func (c *Group) Has(name string) bool {
	_, err := os.Stat(c.file(filepath.Join(c.path, name)))
	return err == nil
}

// Usage is the number of bytes charged to the group.
func (c *Group) Usage() (int64, error) {
	data, err := os.ReadFile(c.file(filepath.Join(c.path, "memory.current")))
	if err != nil {
		return 0, fmt.Errorf("strip memcg: %w", err)
	}
	return strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
}

// WithoutSwap keeps reclaim from the group's anonymous pages: only file pages shall go.
func (c *Group) WithoutSwap() error {
	if c.Has("memory.swap.max") {
		return c.Set("memory.swap.max", "0")
	}
	// Before 6.1 swap is accounted only if so configured.
	swaps, err := os.ReadFile("/proc/swaps")
	if err == nil && strings.Count(string(swaps), "\n") > 1 { // the first line is a heading
		return fault.Lacksf("strip memcg: this kernel does not account swap, so that reclaim would swap the run out; run 'swapoff -a', or boot with swapaccount=1")
	}
	return nil
}

// entered is set while this process is in a group of ours. A process is in one group as a
// whole, so there is one run of the kind at a time in it.
var entered atomic.Bool

// Enter moves this process into the group: from now on its pages are charged there.
func (c *Group) Enter() error {
	if !entered.CompareAndSwap(false, true) {
		return errors.New("strip memcg: another run of this process is in a cgroup of its own; let it end first")
	}
	if err := c.Set("cgroup.procs", strconv.Itoa(os.Getpid())); err != nil {
		entered.Store(false)
		return fault.Lacksf("%w; it takes root", err)
	}
	c.inside = true
	return nil
}

// Leave moves this process back to where it came from. What it has been charged for
// stays charged to the group (Documentation/admin-guide/cgroup-v2.rst, "Memory Ownership").
func (c *Group) Leave() error {
	if !c.inside {
		return nil
	}
	if err := c.write(filepath.Join(c.origin, "cgroup.procs"), strconv.Itoa(os.Getpid())); err != nil {
		return fmt.Errorf("strip memcg: go back to the cgroup %q: %w", "/"+c.origin, err)
	}
	c.inside = false
	entered.Store(false)
	return nil
}

// Close leaves and removes the group. It may be called twice.
func (c *Group) Close() error {
	var errs []error
	if c.janitor != nil {
		errs = append(errs, c.Leave(), c.janitor.Close())
	}
	if c.tree != nil {
		errs = append(errs, c.tree.Close())
	}
	c.janitor, c.tree = nil, nil
	return errors.Join(errs...)
}
