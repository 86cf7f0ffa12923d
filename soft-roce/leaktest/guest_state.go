//go:build guest

package leaktest

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// State is what there is: for each kind of thing, how often each of its things is there.
type State map[string]things

type things map[string]int

func (t things) add(format string, args ...any) { t[fmt.Sprintf(format, args...)]++ }

// kinds are what can leak, with how its things are found and what is said of a leak. A
// thing's name begins with what it is.
var kinds = []struct {
	name string
	find func(things) error
	left string
}{
	{"descriptors", descriptors, "is still open"},
	{"processes", processes, "is still there"},
	{"loop devices", loopDevices, "is still attached"},
	{"mapped devices", mappedDevices, "is still there"},
	{"mounts", mounts, "is still there"},
	{"modules", modules, "is still loaded"},
	{"cgroups", cgroups, "is still there"},
	{"network devices", directory("/sys/class/net", "network device"), "is still there"},
	{"RDMA devices", directory("/sys/class/infiniband", "RDMA device"), "is still there"},
	{"RDMA resources", rdmaResources, "is still there"},
	{"BPF objects", bpfObjects, "is still there"},
	{"kprobe events", kprobeEvents, "is still set"},
	{"temporary files", temporaryFiles, "is still there"},
	{"settings", settings, "was not before"},
}

// Look finds what there is.
func Look() (State, error) {
	s := State{}
	for _, kind := range kinds {
		s[kind.name] = things{}
		if err := kind.find(s[kind.name]); err != nil {
			return nil, fmt.Errorf("look for %s: %w", kind.name, err)
		}
	}
	return s, nil
}

// compare says what is in after and not in before, a sentence each.
func (before State) compare(after State) []string {
	var found []string
	for _, kind := range kinds {
		for _, thing := range slices.Sorted(maps.Keys(after[kind.name])) {
			if more := after[kind.name][thing] - before[kind.name][thing]; more == 1 {
				found = append(found, fmt.Sprintf("%s %s", thing, kind.left))
			} else if more > 1 {
				found = append(found, fmt.Sprintf("%s %s, %d times more than before", thing, kind.left, more))
			}
		}
	}
	return found
}

// descriptors are those of this process but for the ones that Go's runtime opens for
// itself when it first waits for something. They are told apart by what they are open on,
// since numbers are used again; so all sockets are one, and so are all pipes.
func descriptors(found things) error {
	const dir = "/proc/self/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		target, err := os.Readlink(filepath.Join(dir, entry.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // of the reading of the directory itself
		}
		if err != nil {
			return err
		}
		switch name, _, numbered := strings.Cut(target, ":["); {
		case target == "anon_inode:[eventpoll]", target == "anon_inode:[eventfd]":
		case numbered && name != "anon_inode":
			found.add("a descriptor of a %s", name)
		default:
			found.add("a descriptor of %s", target)
		}
	}
	return nil
}

// processes are all but this one, the kernel's own threads and who of the machine's other
// processes were there before.
func processes(found things) error {
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return err
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// PID (COMM) STATE PPID …; the 22nd field is when it was started.
		open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
		if open < 0 || end < open {
			return fmt.Errorf("%s: %q", path, text)
		}
		fields := strings.Fields(string(text[end+1:]))
		if len(fields) < 20 {
			return fmt.Errorf("%s: %q", path, text)
		}
		pid, state, parent, started := strings.TrimSpace(string(text[:open])), fields[0], fields[1], fields[19]
		const kthreadd = "2"
		if pid == kthreadd || parent == kthreadd || pid == strconv.Itoa(os.Getpid()) {
			continue
		}
		child := ""
		if parent == strconv.Itoa(os.Getpid()) {
			child = ", a child of the tests,"
		}
		if state == "Z" {
			child += " that nobody waited for"
		}
		command, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline")) // empty for a dead one
		line := strings.TrimSpace(strings.ReplaceAll(string(command), "\x00", " "))
		found.add("process %s (%s)%s, started at tick %s,", pid, cmp.Or(line, string(text[open+1:end])), child, started)
	}
	return nil
}

// loopDevices are those in use.
func loopDevices(found things) error {
	return eachValue("/sys/block/loop*/loop/backing_file", func(path, file string) {
		found.add("loop device %s (%s)", strings.Split(path, "/")[3], file)
	})
}

func mappedDevices(found things) error {
	return eachValue("/sys/block/dm-*/dm/name", func(path, name string) {
		found.add("device-mapper device %s (%s)", strings.Split(path, "/")[3], name)
	})
}

// eachValue reads the files of a pattern that are there.
func eachValue(pattern string, do func(path, value string)) error {
	paths, err := filepath.Glob(pattern)
	if err != nil {
		return err
	}
	for _, path := range paths {
		if text, err := os.ReadFile(path); err == nil {
			do(path, strings.TrimSpace(string(text)))
		}
	}
	return nil
}
