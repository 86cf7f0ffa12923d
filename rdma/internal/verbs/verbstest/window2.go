package verbstest

import (
	"bytes"
	"testing"

	"umemstress/rdma/internal/verbs"
)

// invalidate takes the window's key by a request of the peer's, which bound it.
func (w *windowed) invalidate(key uint32) verbs.Completion {
	w.Helper()
	const id = 9
	if n, err := w.peer.Post([]verbs.WR{{ID: id, Op: verbs.OpLocalInv, Signaled: true, Invalidate: key}}); n != 1 || err != nil {
		w.Fatalf("posted %d, %v", n, err)
	}
	c := w.await(1)[0]
	if c.ID != id || c.QPN != w.peer.Number() {
		w.Fatalf("taking a key: %+v", c)
	}
	return c
}

// sendInvalidating sends a message that takes the window's key, and says what became of it here and there.
func (w *windowed) sendInvalidating(key uint32) (sent, received verbs.Completion) {
	w.Helper()
	if n, err := w.peer.PostReceives([]verbs.ReceiveWR{w.memory(11, 0, 64)}); n != 1 || err != nil {
		w.Fatalf("posted %d receives, %v", n, err)
	}
	r := w.write(12, 0, 64)
	r.Op, r.Invalidate = verbs.OpSendInv, key
	w.post(r)
	for _, c := range w.await(2) {
		if c.ID == 12 {
			sent = c
		} else {
			received = c
		}
	}
	return sent, received
}

// testWindows2: the key of a window of type 2 gives access to its part of a region through one queue pair, until a request of either
// side takes it; only then it is bound again, or the region deregistered.
func testWindows2(t testing.TB, target Target) {
	const of = verbs.MWType2
	w := newWindowed(t, target, of, verbs.AccessRemoteWrite)
	if w == nil {
		return
	}
	want := make([]byte, areaSize)
	copy(want[windowAt:], w.from.mem[:windowBytes])
	w.post(w.through(windowAt, windowBytes))
	if c := w.await(1)[0]; c.Status != verbs.StatusSuccess || !bytes.Equal(w.target.mem, want) {
		t.Fatalf("a write through a window: %+v; as it was sent: %v", c, bytes.Equal(w.target.mem, want))
	}
	if c := w.invalidate(w.key); c.Status != verbs.StatusSuccess {
		t.Fatalf("taking a key: %+v", c)
	}
	w.window.RKey = w.key
	w.key = w.bind(4, w.window, 64, verbs.AccessRemoteWrite)
	if sent, received := w.sendInvalidating(w.key); sent.Status != verbs.StatusSuccess || received.Status != verbs.StatusSuccess || received.ByteLen != 64 || !bytes.Equal(w.to.mem[:64], w.from.mem[:64]) {
		t.Fatalf("a message that takes a key: %+v, received as %+v", sent, received)
	}
	w.window.RKey = w.key
	w.key = w.bind(5, w.window, 64, verbs.AccessRemoteRead)
	read := w.through(windowAt, 64)
	read.Op = verbs.OpRead
	w.post(read)
	if c := w.await(1)[0]; c.Status != verbs.StatusSuccess {
		t.Fatalf("a read through a window that was bound again: %+v", c)
	}
	if c := w.invalidate(w.key); c.Status != verbs.StatusSuccess {
		t.Fatalf("taking a key: %+v", c)
	}
	w.must(w.backend.DeregisterMR(w.target.mr.Handle)) // before its window
	w.must(w.backend.DeallocMW(w.window.Handle))
	testTakenKeys(t, target)
	testWindowBounds(t, target, of)
	testBadBinding(t, target, of)
}

// testTakenKeys: what is to be out of reach, is.
func testTakenKeys(t testing.TB, target Target) {
	for what, change := range map[string]func(*windowed, *verbs.WR){
		"a key that was taken": func(w *windowed, _ *verbs.WR) {
			if c := w.invalidate(w.key); c.Status != verbs.StatusSuccess {
				t.Errorf("taking a key: %+v", c)
			}
		},
		"a key that a message has taken": func(w *windowed, _ *verbs.WR) { w.sendInvalidating(w.key) },
		"one that is gone":               func(w *windowed, _ *verbs.WR) { w.must(w.backend.DeallocMW(w.window.Handle)) },
		"what is not granted":            func(_ *windowed, r *verbs.WR) { r.Op = verbs.OpRead },
	} {
		w := newWindowed(t, target, verbs.MWType2, verbs.AccessRemoteWrite)
		r := w.through(windowAt, 64)
		change(w, &r)
		w.post(r)
		if c := w.await(1)[0]; c.Status == verbs.StatusSuccess || !bytes.Equal(w.target.mem, make([]byte, areaSize)) {
			t.Errorf("%s: %+v", what, c)
		}
	}
	w := newWindowed(t, target, verbs.MWType2, verbs.AccessRemoteWrite)
	other, otherPeer := w.newQP(), w.newQP()
	w.connect(other, otherPeer.Number())
	w.connect(otherPeer, other.Number())
	if n, err := other.Post([]verbs.WR{w.through(windowAt, 64)}); n != 1 || err != nil {
		t.Fatalf("posted %d, %v", n, err)
	}
	if c := w.await(1)[0]; c.Status == verbs.StatusSuccess || !bytes.Equal(w.target.mem, make([]byte, areaSize)) {
		t.Errorf("through another queue pair than the window was bound through: %+v", c)
	}
	again := func(w *windowed) verbs.Completion {
		_, err := w.peer.BindMW(verbs.Bind{
			ID: 5, MW: verbs.MW{Handle: w.window.Handle, Type: verbs.MWType2, RKey: w.key}, MR: w.target.mr,
			Addr: verbs.AddressOf(w.target.mem), Length: 64, Access: verbs.AccessRemoteWrite,
		})
		w.must(err)
		return w.await(1)[0]
	}
	for what, fails := range map[string]func(*windowed) verbs.Completion{
		"binding a window that is bound": again,
		"taking a key that nobody has":   func(w *windowed) verbs.Completion { return w.invalidate(w.key ^ 1<<20) },
		"a message that takes a key that nobody has": func(w *windowed) verbs.Completion {
			sent, received := w.sendInvalidating(w.key ^ 1<<20)
			if sent.Status != verbs.StatusSuccess {
				return sent
			}
			return received // the message itself has arrived
		},
	} {
		if c := fails(newWindowed(t, target, verbs.MWType2, verbs.AccessRemoteWrite)); c.Status == verbs.StatusSuccess {
			t.Errorf("%s: %+v", what, c)
		}
	}
	if !target.FragileWindows {
		w := newWindowed(t, target, verbs.MWType2, verbs.AccessRemoteWrite)
		if c := w.invalidate(w.key); c.Status != verbs.StatusSuccess {
			t.Errorf("taking a key: %+v", c)
		}
		if c := w.invalidate(w.key); c.Status == verbs.StatusSuccess {
			t.Errorf("taking a key that was taken: %+v", c)
		}
	}
	one := newWindowed(t, target, verbs.MWType1, verbs.AccessRemoteWrite)
	if c := one.invalidate(one.key); c.Status == verbs.StatusSuccess {
		t.Errorf("taking the key of a window of type 1: %+v", c)
	}
}
