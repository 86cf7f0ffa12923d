//go:build guest

package rdma

import (
	"context"
	"errors"
	"os/exec"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

// A link that is deleted in the middle of traffic must not leave its user
// waiting, nor the traffic going on: Wait tells, everything can be closed, and then
// the link is gone.
func TestLinkDeletedInTraffic(t *testing.T) {
	const link, netdev = "rxedel", "umsdel0"
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: netdev}, PeerName: "umsdel1"}
	if err := netlink.LinkAdd(veth); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := netlink.LinkDel(veth); err != nil {
			t.Error(err)
		}
	}()
	for _, name := range []string{netdev, "umsdel1"} {
		l, err := netlink.LinkByName(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := netlink.LinkSetUp(l); err != nil {
			t.Fatal(err)
		}
	}
	if err := netlink.RdmaLinkAdd(link, "rxe", netdev); err != nil {
		t.Fatal(err)
	}
	e := openNamed(t, link)
	const size = 1 << 20
	from, to := register(t, e.pd, anonymous(t, size)), register(t, e.pd, anonymous(t, size))
	w := []Request{{Signaled: true, Local: Slice{MR: from, Length: size}, RemoteAddr: to.Addr(), RKey: to.RKey()}}
	if err := e.ctx.Alive(); err != nil {
		t.Fatalf("before: %v", err)
	}

	// Deleting waits for the users of the device on the kernels that cannot
	// take it from them, so it must happen beside the traffic.
	deleted := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	completed := 0
	for err := error(nil); err == nil; {
		if _, err = e.qp.PostAll(w); errors.Is(err, ErrQueueFull) {
			err = nil
		}
		if err == nil {
			_, err = e.cq.Wait(ctx, make([]Completion, 1))
		}
		if completed++; completed == 4 {
			go func() { deleted <- exec.Command("rdma", "link", "delete", link).Run() }()
		}
		if err != nil && !errors.Is(err, ErrDeviceGone) {
			t.Fatal(err)
		}
	}
	// A wait that nothing will ever answer ends too.
	for {
		if _, err := e.cq.Wait(ctx, make([]Completion, 16)); err != nil {
			if !errors.Is(err, ErrDeviceGone) {
				t.Errorf("wait: %v", err)
			}
			break
		}
	}
	if err := e.ctx.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	select {
	case err := <-deleted:
		if err != nil {
			t.Errorf("delete: %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the link is still being deleted 20 s after its last user closed")
	}
	if _, err := FindDevice("/sys", link); err == nil {
		t.Error("the link is still there")
	}
}

// openNamed is newEndpoint on a device of that name, once its port is active.
func openNamed(t *testing.T, name string) *endpoint {
	t.Helper()
	var d Device
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		var err error
		if d, err = FindDevice("/sys", name); err == nil && d.Active() {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is not active: %v", name, err)
		}
	}
	ctx, err := OpenThrough(d, Backend(*through))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ctx.Close(); err != nil {
			t.Error(err)
		}
	})
	return newEndpointOn(t, ctx, 4)
}
