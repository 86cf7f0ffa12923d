package rdma

import (
	"errors"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// Those before the one that fails are regions, and each keeps the domain.
func TestRegisterMRsUntilOneFails(t *testing.T) {
	f, ctx := newFake()
	pd, err := ctx.AllocPD()
	if err != nil {
		t.Fatal(err)
	}
	mems := [][]byte{make([]byte, 8), make([]byte, 16), make([]byte, 24), make([]byte, 32)}
	asked, before := 0, f.Before
	f.Before = func(m string) error {
		if m == "RegisterMR" {
			if asked++; asked == 3 {
				return unix.ENOSPC
			}
		}
		return before(m)
	}
	mrs, err := pd.RegisterMRs(mems, AccessLocalWrite)
	wantText(t, err, false, "memory region of 24 bytes")
	if !errors.Is(err, unix.ENOSPC) || len(mrs) != 2 || asked != 3 {
		t.Fatalf("%d regions of %d asked for, %v", len(mrs), asked, err)
	}
	for i, mr := range mrs {
		if mr.Len() != len(mems[i]) || mr.LKey() == 0 {
			t.Errorf("region %d: %d bytes, key %d", i, mr.Len(), mr.LKey())
		}
	}
	if mrs[0].LKey() == mrs[1].LKey() {
		t.Error("two regions have one key")
	}
	if err := errors.Join(pd.Close(), mrs[1].Close()); err != nil || f.Held() != 2 {
		t.Errorf("%v; %d objects live, want a region and its domain", err, f.Held())
	}
	if err := CloseMRs(mrs); err != nil || f.Held() != 0 {
		t.Errorf("%v; %d objects live", err, f.Held())
	}
}

func TestRegisterMRsRefuses(t *testing.T) {
	f, ctx := newFake()
	pd, err := ctx.AllocPD()
	if err != nil {
		t.Fatal(err)
	}
	_, err = pd.RegisterMRs([][]byte{make([]byte, 8), nil}, AccessLocalWrite)
	wantText(t, err, false, "it is empty")
	if mrs, err := pd.RegisterMRs(nil, AccessLocalWrite); err != nil || len(mrs) != 0 || f.Held() != 1 {
		t.Errorf("of no memory: %d regions, %v, %d objects live", len(mrs), err, f.Held())
	}
	if err := errors.Join(pd.Close(), CloseMRs(nil)); err != nil {
		t.Error(err)
	}
	if _, err := pd.RegisterMRs([][]byte{make([]byte, 8)}, AccessLocalWrite); !errors.Is(err, ErrClosed) {
		t.Errorf("in a domain that is closed: %v", err)
	}
}

// What is in use ends with its user, and of what another goroutine ends, the end is awaited.
func TestCloseMRs(t *testing.T) {
	h := newHeld(t, "DeregisterMR")
	mrs, err := h.pd.RegisterMRs([][]byte{make([]byte, 8), make([]byte, 8), make([]byte, 8)}, AccessLocalWrite|AccessBindWindow)
	if err != nil {
		t.Fatal(err)
	}
	window, err := mrs[0].AllocWindow(Window1)
	if err != nil {
		t.Fatal(err)
	}
	another := h.begin(h.mr.Close)
	mrs = append(mrs, h.mr)
	all := make(chan error, 1)
	go func() { all <- CloseMRs(slices.Clone(mrs)) }()
	go func() {
		for range 2 {
			<-h.arrived
		}
	}()
	for range 2 { // of the three, whichever
		h.letGo <- unix.ENOSPC
	}
	waits(t, "closing them", all)
	h.letGo <- unix.ENOSPC
	ends(t, "closing one", another, unix.ENOSPC)
	ends(t, "closing them", all, unix.ENOSPC)
	last := h.begin(window.Close)
	h.letGo <- nil
	ends(t, "closing the window", last, nil)
}
