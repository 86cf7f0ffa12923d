//go:build guest

package rdma

import (
	"bytes"
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

// Pages of a file that are pinned for reading are not to be written to because their region is given another access. rdma_rxe of 6.12
// and 7.2 writes to them all the same, which it refuses to pin for that.
func TestReregisteredFile(t *testing.T) {
	e := newEndpointOn(t, openDeviceThrough(t, Uverbs), 4)
	file := mappedFile(t, 64<<10)
	source := anonymous(t, len(file))
	fill(source, 1)
	from := register(t, e.pd, source)
	mr, err := e.pd.RegisterMR(file, AccessRemoteRead)
	if err != nil {
		t.Fatal(err)
	}
	err = mr.ChangeAccess(AccessLocalWrite | AccessRemoteWrite)
	if !rxeHas(t, "rxe_rereg_user_mr") {
		var e *Error
		if !errors.Is(err, unix.EOPNOTSUPP) || !errors.As(err, &e) || !e.HostLacks() {
			t.Errorf("%v, want EOPNOTSUPP", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	r := Request{ID: 1, Local: Slice{MR: from, Length: from.Len()}, RemoteAddr: mr.Addr(), RKey: mr.RKey(), Signaled: true}
	if err := e.qp.Post(r); err != nil {
		t.Fatal(err)
	}
	await(t, e.cq, 1)
	t.Logf("written: %v", bytes.Equal(file, source))
	if err := mr.Close(); err != nil {
		t.Fatal(err)
	}
}
