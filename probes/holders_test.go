package probes

import (
	"os"
	"slices"
	"testing"

	"umemstress/probes/event"
)

// A machine without VMCI is not watched for it, and every machine for the others.
func TestHoldersHere(t *testing.T) {
	_, err := os.Stat("/sys/module/vmw_vmci")
	here := HoldersHere()
	for _, holder := range Holders() {
		if want := holder != event.HolderVMCI || err == nil; slices.Contains(here, holder) != want {
			t.Errorf("%q among %q: want %v", holder, here, want)
		}
	}
}
