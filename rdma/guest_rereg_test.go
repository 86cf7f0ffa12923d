//go:build guest

package rdma

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

// Pages of a file that are pinned for reading are not written to because their region is given another access: a driver that
// re-registers regions refuses it, and says so of nothing else.
func TestReregisteredFile(t *testing.T) {
	e := newEndpointOn(t, openDeviceThrough(t, Uverbs), 4)
	mr, err := e.pd.RegisterMR(mappedFile(t, 64<<10), AccessRemoteRead)
	if err != nil {
		t.Fatal(err)
	}
	defer mr.Close()
	err = mr.ChangeAccess(AccessLocalWrite | AccessRemoteWrite)
	if !rxeHas(t, "rxe_rereg_user_mr") {
		var e *Error
		if !errors.Is(err, unix.EOPNOTSUPP) || !errors.As(err, &e) || !e.HostLacks() {
			t.Errorf("%v, want EOPNOTSUPP", err)
		}
		return
	}
	if !errors.Is(err, ErrAccessRefused) {
		t.Errorf("%v, want ErrAccessRefused", err)
	}
	if err := mr.ChangeAccess(0); err != nil {
		t.Errorf("for less access: %v", err)
	}
}
