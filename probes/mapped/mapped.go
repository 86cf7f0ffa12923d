// Package mapped answers one question: what has a process mapped of which files?
package mapped

import (
	"fmt"
	"os"
	"path"
	"sync"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// A Mapping is a part of a process's memory that is a file's.
type Mapping struct {
	Start, End uint64 // addresses
	Offset     uint64 // of the first byte in the file
	Shared     bool
	Writable   bool
	Major      uint32 // of the file's device
	Minor      uint32
	Inode      uint64
	Path       string // as the process has it
}

// Of lists the mappings of files of a process. proc is where procfs is mounted.
func Of(proc string, pid uint32) ([]Mapping, error) {
	f, err := os.Open(path.Join(proc, fmt.Sprintf("%d/maps", pid)))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return parse(f)
}

// File is the path by which a mapping's file can be opened, wherever it is mounted or whether it
// has been deleted. It takes CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE.
func (m Mapping) File(proc string, pid uint32) string {
	return path.Join(proc, fmt.Sprintf("%d/map_files/%x-%x", pid, m.Start, m.End))
}

// Filesystem is the type of the file system of a mapping's file; "" if it cannot be told. It asks
// for nothing that takes a privilege beyond that for the maps: map_files, where each file could be
// asked itself, take two.
func (m Mapping) Filesystem(proc string, pid uint32) string {
	for _, mount := range Mounts(proc, pid, m.Major, m.Minor) {
		return mount.FSType
	}
	return nameless()[device{m.Major, m.Minor}]
}

type device struct{ major, minor uint32 }

// nameless are the file systems that are mounted nowhere, where the kernel keeps files without a
// path: shared anonymous memory and that of memfd_create and shmget; and the same of huge pages,
// one for each of their sizes.
var nameless = sync.OnceValue(func() map[device]string {
	found := map[device]string{}
	for flags, filesystem := range map[int]string{
		0:                                    "tmpfs",
		unix.MFD_HUGETLB | unix.MFD_HUGE_2MB: "hugetlbfs",
		unix.MFD_HUGETLB | unix.MFD_HUGE_1GB: "hugetlbfs",
	} {
		fd, err := unix.MemfdCreate("umemstress", unix.MFD_CLOEXEC|flags)
		if err != nil {
			continue // the kernel has none of the kind
		}
		var stat unix.Stat_t
		if unix.Fstat(fd, &stat) == nil {
			found[device{unix.Major(stat.Dev), unix.Minor(stat.Dev)}] = filesystem
		}
		_ = unix.Close(fd) // empty
	}
	return found
})

// InMemory are file systems that write nothing back: they are never told that a page is dirtied,
// and lose nothing by it.
func InMemory(filesystem string) bool {
	switch filesystem {
	case "tmpfs", "hugetlbfs", "ramfs", "devtmpfs":
		return true
	}
	return false
}

// Mounts are those of a device as a process has them; once that is gone, and where it has none,
// as this process does. Who watches from a container has other mounts than those watched.
func Mounts(proc string, pid, major, minor uint32) []*mountinfo.Info {
	found := mountsOf(path.Join(proc, fmt.Sprint(pid), "mountinfo"), major, minor)
	if len(found) == 0 {
		found = mountsOf(path.Join(proc, "self/mountinfo"), major, minor)
	}
	return found
}

func mountsOf(name string, major, minor uint32) []*mountinfo.Info {
	f, err := os.Open(name)
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
