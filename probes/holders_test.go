package probes

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/probes/event"
)

// holdersHere are those of Holders that this machine has now: not those of a module that is not loaded, or not as new, nor of
// sockets that the kernel was built without.
func holdersHere() []string {
	return slices.DeleteFunc(Holders(), func(holder string) bool {
		release := stockReleases()[holder]
		return !release.applies()
	})
}

// A machine without VMCI, NFS, FUSE, V4L2, AF_XDP or netfs that reads directly is not watched for it, and every machine for the others.
func TestHoldersHere(t *testing.T) {
	here := holdersHere()
	modules := map[string]string{event.HolderVMCI: "vmw_vmci", event.HolderNFS: "nfs", event.HolderFUSE: "fuse", event.HolderV4L2: "videobuf2_common", event.Holder9P: "netfs"}
	fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		defer unix.Close(fd)
	}
	noXDP := errors.Is(err, unix.EAFNOSUPPORT) // it may not be permitted
	for _, holder := range Holders() {
		_, err := os.Stat("/sys/module/" + modules[holder])
		if want := err == nil && (holder != event.HolderXDP || !noXDP) && (holder != event.Holder9P || readsByNetfs(t)); slices.Contains(here, holder) != want {
			t.Errorf("%q among %q: want %v", holder, here, want)
		}
	}
}

// readsByNetfs tells whether the kernel has the direct reads of netfs, by their name.
func readsByNetfs(t *testing.T) bool {
	t.Helper()
	functions, err := os.ReadFile("/proc/kallsyms")
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Contains(functions, []byte(" netfs_unbuffered_read_iter_locked\t")) || bytes.Contains(functions, []byte(" netfs_unbuffered_read_iter_locked\n"))
}
