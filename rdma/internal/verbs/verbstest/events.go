package verbstest

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

// testEvents: who asked is woken by the next completion, once for each time that it asked, and not
// before. A queue with events goes as one without.
func testEvents(t testing.TB, target Target) {
	r := newUnconnectedRig(t, target)
	events, err := r.backend.CreateEventCQ(most)
	r.must(err)
	wakes := func(within time.Duration) bool {
		t.Helper()
		fds := []unix.PollFd{{Fd: int32(events.EventFD()), Events: unix.POLLIN}}
		for deadline := time.Now().Add(within); ; {
			n, err := unix.Poll(fds, int(max(0, time.Until(deadline)).Milliseconds()))
			if err != unix.EINTR {
				r.must(err)
				return n > 0
			}
		}
	}
	r.cq = events
	r.qp, r.peer = r.newQP(), r.newQP()
	r.connect(r.qp, r.peer.Number())
	r.connect(r.peer, r.qp.Number())
	r.post(r.write(1, 0, 64))
	r.await(1)
	if wakes(settle) {
		t.Error("an event that nobody asked for")
	}
	for round := range uint64(3) {
		r.must(events.Arm())
		if wakes(settle) {
			t.Errorf("round %d: an event before there is a completion", round)
		}
		r.post(r.write(round, 0, 64), r.write(round+100, 64, 64))
		if !wakes(target.patience()) {
			t.Fatalf("round %d: no event", round)
		}
		for i, c := range r.await(2) {
			if c.ID != round+100*uint64(i) || c.Status != verbs.StatusSuccess {
				t.Errorf("round %d: %+v", round, c)
			}
		}
	}
	r.must(events.Arm()) // and nobody comes
	if _, err := r.backend.CreateEventCQ(0); !oneOf(err, unix.EINVAL, unix.ENOMEM) {
		t.Errorf("a queue of nothing: %v", err)
	}
	r.must(r.qp.Destroy())
	r.must(r.peer.Destroy())
	r.must(events.Destroy())
}
