package mapped

import (
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// shared finds, in the process's own maps, the one mapping that is new.
func shared(t *testing.T, fd, flags int) Mapping {
	t.Helper()
	list := func() []Mapping {
		mappings, err := Of("/proc", uint32(os.Getpid()))
		if err != nil {
			t.Fatal(err)
		}
		return slices.DeleteFunc(mappings, func(m Mapping) bool { return !m.Shared })
	}
	before := list()
	mem, err := unix.Mmap(fd, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|flags)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Munmap(mem); err != nil {
			t.Error(err)
		}
	})
	fresh := slices.DeleteFunc(list(), func(m Mapping) bool { return slices.Contains(before, m) })
	if len(fresh) != 1 {
		t.Fatalf("%+v beside %+v", fresh, before)
	}
	return fresh[0]
}

// The file system of memory without a name is told, and takes no asking for the file itself; that
// of a device that nobody has mounted is not known.
func TestFilesystem(t *testing.T) {
	memfd, err := unix.MemfdCreate("test", unix.MFD_CLOEXEC)
	if err == nil {
		err = unix.Ftruncate(memfd, 4096)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(memfd)
	pid := uint32(os.Getpid())
	for name, m := range map[string]Mapping{
		"memfd":            shared(t, memfd, 0),
		"shared anonymous": shared(t, -1, unix.MAP_ANONYMOUS),
	} {
		if filesystem := m.Filesystem("/proc", pid); filesystem != "tmpfs" || !InMemory(filesystem) {
			t.Errorf("%s: %q of %+v", name, filesystem, m)
		}
	}
	if filesystem := (Mapping{Major: 4095, Minor: 7}).Filesystem("/proc", pid); filesystem != "" {
		t.Errorf("nobody's device: %q", filesystem)
	}
}
