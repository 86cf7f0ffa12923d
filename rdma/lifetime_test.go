package rdma

import (
	"errors"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// held is a fake of which one kind of request waits until let go.
type held struct {
	*fake
	ctx     *Context
	pd      *PD
	cq      *CQ
	mr      *MR
	arrived chan struct{} // one for each request that waits
	letGo   chan error    // what becomes of it
}

func newHeld(t *testing.T, method string) *held {
	t.Helper()
	h := &held{arrived: make(chan struct{}, 1), letGo: make(chan error)}
	h.fake, h.ctx = newFake()
	var err error
	if h.pd, err = h.ctx.AllocPD(); err != nil {
		t.Fatal(err)
	}
	if h.cq, err = h.ctx.CreateCQ(4); err != nil {
		t.Fatal(err)
	}
	if h.mr, err = h.pd.RegisterMR(make([]byte, 8), AccessLocalWrite); err != nil {
		t.Fatal(err)
	}
	before := h.Before
	h.Before = func(m string) error {
		if m == method {
			h.arrived <- struct{}{}
			return <-h.letGo
		}
		return before(m)
	}
	return h
}

// begin runs f, and returns once its request waits.
func (h *held) begin(f func() error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	<-h.arrived
	return done
}

// promptly fails the test if f waits for the request.
func promptly(t *testing.T, what string, f func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("%s waits for the request of another goroutine", what)
	}
}

func waits(t *testing.T, what string, done <-chan error) {
	t.Helper()
	select {
	case err := <-done:
		t.Fatalf("%s does not wait: %v", what, err)
	case <-time.After(20 * time.Millisecond):
	}
}

func ends(t *testing.T, what string, done <-chan error, want error) {
	t.Helper()
	select {
	case err := <-done:
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("%s does not end", what)
	}
}

// others does everything beside the request that waits.
func (h *held) others(t *testing.T) {
	t.Helper()
	promptly(t, "alive", func() error {
		if err := h.ctx.Alive(); !errors.Is(err, ErrDeviceGone) { // it is in no sysfs
			return errors.Join(errors.New("alive"), err)
		}
		return nil
	})
	promptly(t, "poll", func() error {
		_, err := h.cq.Poll(make([]Completion, 1))
		return err
	})
	promptly(t, "create and close", func() error {
		cq, err := h.ctx.CreateCQ(1)
		if err != nil {
			return err
		}
		qp, err := h.pd.CreateQP(QPConfig{SendCQ: cq})
		if err != nil {
			return err
		}
		return errors.Join(cq.Close(), qp.Close())
	})
}

// Nobody waits for a registration, which pins for seconds.
func TestRegistrationHoldsNobodyUp(t *testing.T) {
	h := newHeld(t, "RegisterMR")
	var made *MR
	done := h.begin(func() (err error) {
		made, err = h.pd.RegisterMR(make([]byte, 8), AccessLocalWrite)
		return err
	})
	h.others(t)
	// What it needs does not end before it.
	promptly(t, "closing the domain", h.pd.Close)
	promptly(t, "closing a region of the domain", h.mr.Close)
	h.letGo <- nil
	ends(t, "registration", done, nil)
	if h.Held() != 3 { // domain, queue, region
		t.Errorf("%d objects live", h.Held())
	}
	if err := made.Close(); err != nil {
		t.Error(err)
	}
	if h.Held() != 1 {
		t.Errorf("%d objects live, the queue is what is left", h.Held())
	}
}

// A domain that was closed meanwhile ends with the registration that failed.
func TestFailedRegistrationEndsItsDomain(t *testing.T) {
	h := newHeld(t, "RegisterMR")
	done := h.begin(func() error {
		_, err := h.pd.RegisterMR(make([]byte, 8), AccessLocalWrite)
		return err
	})
	promptly(t, "closing the region", h.mr.Close)
	promptly(t, "closing the domain", h.pd.Close)
	h.letGo <- unix.ENOSPC
	ends(t, "registration", done, unix.ENOSPC)
	if h.Held() != 1 {
		t.Errorf("%d objects live, the queue is what is left", h.Held())
	}
}

// Closing the context waits for a registration, and ends the region with the rest.
func TestCloseWaitsForRegistration(t *testing.T) {
	h := newHeld(t, "RegisterMR")
	registered := h.begin(func() error {
		_, err := h.pd.RegisterMR(make([]byte, 8), AccessLocalWrite)
		return err
	})
	closing, again := make(chan error, 1), make(chan error, 1)
	go func() { closing <- h.ctx.Close() }()
	waits(t, "closing the context", closing)
	go func() { again <- h.ctx.Close() }()
	waits(t, "closing it again", again)
	if _, err := h.ctx.AllocPD(); !errors.Is(err, ErrClosed) {
		t.Errorf("a new domain in a context that closes: %v", err)
	}
	if err := h.ctx.Alive(); !errors.Is(err, ErrClosed) {
		t.Errorf("alive: %v", err)
	}
	h.letGo <- nil
	ends(t, "registration", registered, nil)
	ends(t, "closing the context", closing, nil)
	ends(t, "closing it again", again, nil)
	if h.Held() != 0 || !h.closed {
		t.Errorf("%d objects live, closed %v", h.Held(), h.closed)
	}
}

// A release takes long too. Whoever closes the same region waits for its end.
func TestReleaseHoldsNobodyUp(t *testing.T) {
	h := newHeld(t, "DeregisterMR")
	first := h.begin(h.mr.Close)
	h.others(t)
	second, context := make(chan error, 1), make(chan error, 1)
	go func() { second <- h.mr.Close() }()
	waits(t, "closing the region again", second)
	go func() { context <- h.ctx.Close() }()
	waits(t, "closing the context", context)
	h.letGo <- nil
	for what, done := range map[string]<-chan error{"first": first, "second": second, "context": context} {
		ends(t, what, done, nil)
	}
	if h.Held() != 0 || !h.closed {
		t.Errorf("%d objects live, closed %v", h.Held(), h.closed)
	}
}

// A queue pair that has bound a window of type 2 ends after it, whichever was made first, and one that is closed binds none.
func TestWindowOutlivedByItsQueuePair(t *testing.T) {
	var ended []string
	f, ctx := newFake()
	before := f.Before
	f.Before = func(m string) error {
		if m == "DeallocMW" || m == "DestroyQP" {
			ended = append(ended, m)
		}
		return before(m)
	}
	pd, err := ctx.AllocPD()
	if err != nil {
		t.Fatal(err)
	}
	mr, err := pd.RegisterMR(make([]byte, 8), AccessLocalWrite|AccessBindWindow)
	if err != nil {
		t.Fatal(err)
	}
	windows := make([]*Window, 3)
	for i := range windows {
		if windows[i], err = mr.AllocWindow(Window2); err != nil {
			t.Fatal(err)
		}
	}
	cq, err := ctx.CreateCQ(8)
	if err != nil {
		t.Fatal(err)
	}
	pairs := make([]*QP, 3)
	for i := range pairs {
		if pairs[i], err = pd.CreateQP(QPConfig{SendCQ: cq}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 2 {
		if err := windows[0].hold(pairs[i]); err != nil { // as Bind does, which takes a connection
			t.Error(err)
		}
	}
	if err := windows[1].hold(pairs[1]); err != nil {
		t.Error(err)
	}
	if err := errors.Join(pairs[0].Close(), pairs[2].Close()); err != nil || len(ended) != 1 {
		t.Errorf("%v; ended %q, want the queue pair that has bound none", err, ended)
	}
	if err := windows[2].hold(pairs[0]); !errors.Is(err, ErrClosed) {
		t.Errorf("by a queue pair that is closed: %v", err)
	}
	if err := windows[0].Close(); err != nil || len(ended) != 3 || ended[1] != "DeallocMW" {
		t.Errorf("%v; ended %q, want a window and then the queue pair", err, ended)
	}
	if err := ctx.Close(); err != nil || f.Held() != 0 {
		t.Errorf("%v, %d objects live on", err, f.Held())
	}
	if want := []string{"DestroyQP", "DeallocMW", "DestroyQP", "DeallocMW", "DestroyQP", "DeallocMW"}; !slices.Equal(ended, want) {
		t.Errorf("ended %q, want %q", ended, want)
	}
	wantText(t, (&QP{}).Invalidate(1, windows[0]), false, "queue pair: already closed")
	if _, err := mr.AllocWindow(3); err == nil {
		t.Error("a window of type 3 is made")
	}
}
