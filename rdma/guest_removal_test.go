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
	newLink(t, link, netdev)
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

// openNamed is newEndpoint on a device of that name.
func openNamed(t *testing.T, name string) *endpoint {
	t.Helper()
	d, err := FindDevice("/sys", name)
	if err != nil {
		t.Fatal(err)
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

// A port that goes down in the middle of traffic is told, whether its requests fail or go on; and another
// port's state is nobody's concern who does not use it.
func TestPortDownInTraffic(t *testing.T) {
	const link, netdev = "rxedown", "umsdn0"
	newLink(t, link, netdev)
	t.Cleanup(func() {
		if err := netlink.RdmaLinkDel(link); err != nil {
			t.Error(err)
		}
	})
	e := openNamed(t, link)
	idle, err := OpenThrough(e.ctx.Device(), Backend(*through))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := idle.Close(); err != nil {
			t.Error(err)
		}
	}()
	const size = 64 << 10
	from, to := register(t, e.pd, anonymous(t, size)), register(t, e.pd, anonymous(t, size))
	w := []Request{{Signaled: true, Local: Slice{MR: from, Length: size}, RemoteAddr: to.Addr(), RKey: to.RKey()}}
	down, err := netlink.LinkByName(netdev)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for completed := 0; ; completed++ {
		if _, err = e.qp.PostAll(w); err != nil && !errors.Is(err, ErrQueueFull) {
			break // its requests have failed
		}
		if _, err = e.cq.Wait(ctx, make([]Completion, 1)); err != nil {
			break
		}
		if completed == 4 {
			if err := netlink.LinkSetDown(down); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !errors.Is(err, ErrPortDown) { // the post's error; then the event is not far
		_, err = e.cq.Wait(ctx, nil)
	}
	var told *Error
	if !errors.As(err, &told) || !errors.Is(err, ErrPortDown) || !told.HostLacks() {
		t.Errorf("the port of the traffic: %v", err)
	}
	if err := idle.Alive(); err != nil {
		t.Errorf("a context that has nothing connected: %v", err)
	}
	if err := netlink.LinkSetUp(down); err != nil {
		t.Fatal(err)
	}
	for err = errors.New("nobody asked"); err != nil && ctx.Err() == nil; time.Sleep(time.Millisecond) {
		err = e.ctx.Alive()
	}
	if err != nil {
		t.Errorf("once it is up again: %v", err)
	}
}
