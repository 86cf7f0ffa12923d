package probes

import (
	"errors"
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/probes/event"
)

// A machine without VMCI, NFS, FUSE, V4L2 or AF_XDP is not watched for it, and every machine for the others.
func TestHoldersHere(t *testing.T) {
	here := HoldersHere()
	modules := map[string]string{event.HolderVMCI: "vmw_vmci", event.HolderNFS: "nfs", event.HolderFUSE: "fuse", event.HolderV4L2: "videobuf2_common"}
	fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		defer unix.Close(fd)
	}
	noXDP := errors.Is(err, unix.EAFNOSUPPORT) // it may not be permitted
	for _, holder := range Holders() {
		_, err := os.Stat("/sys/module/" + modules[holder])
		if want := err == nil && (holder != event.HolderXDP || !noXDP); slices.Contains(here, holder) != want {
			t.Errorf("%q among %q: want %v", holder, here, want)
		}
	}
}
