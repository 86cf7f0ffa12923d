//go:build guest

package leaktest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// mounts are those that the mount table shows. What is attached nowhere lives as long as
// a descriptor, and shows as one.
func mounts(found things) error {
	text, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 2 {
			found.add("mount of %s (%s) on %s", fields[0], fields[2], fields[1])
		}
	}
	return nil
}

// modules are those that a run unloads which has loaded them. What a mount or a block device
// brings along stays.
func modules(found things) error {
	for _, name := range []string{"vmw_vsock_vmci_transport", "vsock", "vmw_vmci", "nfsv3", "nfs", "lockd", "sunrpc", "fuse", "9pnet_fd", "rdma_ucm", "rdma_cm", "iw_cm", "ib_cm", "vivid", "videobuf2_v4l2", "videobuf2_common", "videodev"} {
		_, err := os.Stat(filepath.Join("/sys/module", name))
		if err == nil {
			found.add("module %s", name)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

const cgroupRoot = "/sys/fs/cgroup"

func cgroups(found things) error {
	return filepath.WalkDir(cgroupRoot, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // removed meanwhile
			return nil
		case err != nil:
			return err
		case entry.IsDir() && path != cgroupRoot:
			found.add("cgroup %s", path)
		}
		return nil
	})
}

// directory finds the entries of a directory of sysfs, which is not there while nothing
// needs it.
func directory(path, what string) func(things) error {
	return func(found things) error {
		entries, err := os.ReadDir(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, entry := range entries {
			found.add("%s %s", what, entry.Name())
		}
		return nil
	}
}

// kprobeEvents are those of tracefs, which outlive who set them; probes attached by
// perf_event_open or links do not.
func kprobeEvents(found things) error {
	text, err := os.ReadFile("/sys/kernel/tracing/kprobe_events")
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a kernel without them
	}
	if errors.Is(err, unix.EPERM) {
		return nil // a kernel that was locked down, which refuses root nothing else of tracefs: nobody sets any
	}
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		found.add("kprobe event %s", strings.TrimSpace(line))
	}
	return nil
}

// settings are what a run may change of the kernel for its time, and what decides how a
// kernel ends.
func settings(found things) error {
	paths := []string{filepath.Join(cgroupRoot, "cgroup.subtree_control")}
	for _, pattern := range []string{
		"/proc/sys/vm/*", "/proc/sys/kernel/panic*", "/proc/sys/kernel/hung_task_*",
		"/sys/kernel/mm/transparent_hugepage/*enabled", "/sys/kernel/mm/ksm/run",
	} {
		more, err := filepath.Glob(pattern)
		if err != nil {
			return err
		}
		paths = append(paths, more...)
	}
	for _, path := range paths {
		switch filepath.Base(path) {
		case "drop_caches", "compact_memory", "stat_refresh": // to be told something, not to keep it
			continue
		}
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			continue
		}
		if err != nil {
			return err
		}
		found.add("the value %q of %s", strings.TrimSpace(string(text)), path)
	}
	return nil
}
