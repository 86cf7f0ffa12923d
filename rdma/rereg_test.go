package rdma

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

// A region that is re-registered is over what it was given, with the keys that it then has.
func TestReregister(t *testing.T) {
	f, ctx := newFake()
	pd, err := ctx.AllocPD()
	if err != nil {
		t.Fatal(err)
	}
	mr, err := pd.RegisterMR(make([]byte, 8), AccessLocalWrite)
	if err != nil {
		t.Fatal(err)
	}
	addr, key := mr.Addr(), mr.RKey()
	if err := mr.ChangeAccess(AccessLocalWrite | AccessRemoteWrite); err != nil || mr.Addr() != addr || mr.RKey() != key {
		t.Errorf("another access: %v; at %#x by %#x, before at %#x by %#x", err, mr.Addr(), mr.RKey(), addr, key)
	}
	other := make([]byte, 16)
	if err := mr.ChangeMemory(other); err != nil || mr.Len() != 16 || mr.Addr() == addr || mr.RKey() == key || mr.LKey() == key {
		t.Errorf("other memory: %v; %d bytes at %#x by %#x", err, mr.Len(), mr.Addr(), mr.RKey())
	}
	wantText(t, mr.ChangeMemory(nil), false, "re-register memory region of 16 bytes", "empty")
	addr, key = mr.Addr(), mr.RKey()
	for _, of := range []struct {
		errno unix.Errno
		lacks bool
		parts []string
	}{
		{unix.EOPNOTSUPP, true, []string{"re-register memory region of 16 bytes", "EOPNOTSUPP", "rdma_rxe of Linux 6.12 does so for another access"}},
		{unix.ENOSYS, true, []string{"ENOSYS", "rdma_rxe of Linux 6.12 does so for another access"}},
		{unix.ENODEV, true, []string{"re-register", "the RDMA device is gone"}},
		{unix.EINVAL, false, []string{"re-register", "EINVAL"}},
	} {
		f.fail["ReregisterMR"] = of.errno
		err := mr.ChangeAccess(AccessLocalWrite)
		wantText(t, err, of.lacks, of.parts...)
		if !errors.Is(err, of.errno) || mr.Addr() != addr || mr.RKey() != key {
			t.Errorf("%v: it is at %#x by %#x, before at %#x by %#x", err, mr.Addr(), mr.RKey(), addr, key)
		}
	}
	f.fail["ReregisterMR"] = unix.EACCES
	wantText(t, mr.ChangeAccess(AccessLocalWrite), true, "re-register", "changed its credentials")
	delete(f.fail, "ReregisterMR")
	if err := mr.ChangeAccess(AccessRemoteRead); err != nil {
		t.Fatal(err)
	}
	f.fail["ReregisterMR"] = unix.EACCES
	wantText(t, mr.ChangeAccess(AccessLocalWrite), true, "re-register", "changed its credentials")
	asked, before := 0, f.Before
	f.Before = func(m string) error { // which refuses to write, and nothing else
		if asked++; m == "ReregisterMR" && asked == 2 {
			return nil
		}
		return before(m)
	}
	if err := mr.ChangeAccess(AccessLocalWrite); !errors.Is(err, ErrAccessRefused) || !errors.Is(err, unix.EACCES) {
		t.Error(err)
	} else {
		wantText(t, err, false, "re-register memory region of 16 bytes: the kernel lets pages that are pinned for reading not be written to")
	}
	f.Before = before
	delete(f.fail, "ReregisterMR")
	if err := mr.Close(); err != nil {
		t.Fatal(err)
	}
	wantText(t, mr.ChangeAccess(AccessLocalWrite), false, "re-registration: memory region of 16 bytes", "already closed")
	if err := ctx.Close(); err != nil || f.Held() != 0 {
		t.Errorf("%v, %d objects live on", err, f.Held())
	}
}

// A region does not end while it is re-registered.
func TestReregisteredMeanwhileClosed(t *testing.T) {
	h := newHeld(t, "ReregisterMR")
	done := h.begin(func() error { return h.mr.ChangeAccess(AccessLocalWrite) })
	h.others(t)
	promptly(t, "close", h.mr.Close)
	if n := h.Held(); n != 3 { // domain, queue, region
		t.Errorf("%d objects live, want 3", n)
	}
	h.letGo <- nil
	ends(t, "re-register", done, nil)
	if n := h.Held(); n != 2 {
		t.Errorf("%d objects live, want 2", n)
	}
	if err := h.ctx.Close(); err != nil {
		t.Error(err)
	}
}
