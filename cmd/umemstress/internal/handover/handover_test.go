package handover

import (
	"testing"

	"umemstress/rdma"
)

// Where the program does not lie beside this one, this one stays and says what is missing when it
// opens the device. That it does go on, the guest's tests show.
func TestStaysWithoutProgram(t *testing.T) {
	for _, backend := range rdma.Backends() {
		if err := For(unknown, "nosuch0", backend, false); err != nil {
			t.Errorf("%s: %v", backend, err)
		}
	}
	if err := For(unknown, "nosuch0", rdma.AutoBackend, true); err != nil {
		t.Error(err)
	}
	if err := ForAny(unknown); err != nil {
		t.Error(err)
	}
}
