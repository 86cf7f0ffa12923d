package probes

import (
	"os"
	"slices"
	"testing"

	"umemstress/probes/event"
)

// A machine without VMCI, NFS, FUSE or V4L2 is not watched for it, and every machine for the others.
func TestHoldersHere(t *testing.T) {
	here := HoldersHere()
	modules := map[string]string{event.HolderVMCI: "vmw_vmci", event.HolderNFS: "nfs", event.HolderFUSE: "fuse", event.HolderV4L2: "videobuf2_common"}
	for _, holder := range Holders() {
		_, err := os.Stat("/sys/module/" + modules[holder])
		if want := err == nil; slices.Contains(here, holder) != want {
			t.Errorf("%q among %q: want %v", holder, here, want)
		}
	}
}
