package verbstest

import (
	"testing"
	"time"

	"umemstress/rdma/internal/verbs"
)

// testAlive: nobody waits for an event, and a device that works has none to tell of its end.
func testAlive(t testing.TB, target Target) {
	b := open(t, target)
	done := make(chan bool, 1)
	go func() { done <- fatal(b) }()
	select {
	case fatal := <-done:
		if fatal {
			t.Error("a device that works has reported its end")
		}
	case <-time.After(target.patience()):
		t.Fatal("NextEvent blocks, or never comes to the last event")
	}
}

// fatal takes all events, and says whether the device's end is among them.
func fatal(b verbs.Backend) bool {
	for {
		e, ok := b.NextEvent()
		if !ok || e.Type == verbs.EventDeviceFatal {
			return ok
		}
	}
}

// tells waits for an event of a type.
func tells(t testing.TB, target Target, b verbs.Backend, want verbs.EventType) verbs.Event {
	t.Helper()
	for deadline := target.deadline(); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if e, ok := b.NextEvent(); ok && e.Type == want {
			return e
		}
	}
	t.Fatalf("no event of type %d came in time", want)
	return verbs.Event{}
}

// testOverflow: a completion queue that loses completions is told of, and nothing else is.
func testOverflow(t testing.TB, target Target) {
	r := newUnconnectedRig(t, target)
	var err error
	r.cq, err = r.backend.CreateCQ(1)
	r.must(err)
	r.qp, r.peer = r.newQP(), r.newQP()
	r.connect(r.qp, r.peer.Number())
	r.connect(r.peer, r.qp.Number())
	r.post(r.write(0, 0, 64))
	r.await(1)
	if e, ok := r.backend.NextEvent(); ok && e.Type == verbs.EventCQError {
		t.Error("an event before anything was lost")
	}
	for id := range uint64(depth) {
		r.post(r.write(id, 0, 64))
	}
	tells(t, target, r.backend, verbs.EventCQError)
	for {
		e, ok := r.backend.NextEvent()
		if !ok {
			break
		}
		if e.Type == verbs.EventDeviceFatal || e.Type.OfPort() {
			t.Errorf("a queue that overflows is told as %+v", e)
		}
	}
	if n, err := r.cq.Poll(make([]verbs.Completion, most)); n == 0 || n > depth || err != nil {
		t.Errorf("%d completions are left, %v", n, err)
	}
}

// testPortEvents: who has the device open hears that a port goes down, and that it comes up again.
func testPortEvents(t testing.TB, target Target) {
	if target.Switched == nil {
		t.Skip("no port can be taken down")
	}
	opens, set := target.Switched(t)
	b, err := opens()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	for e, ok := b.NextEvent(); ok; e, ok = b.NextEvent() {
		if e.Type == verbs.EventPortError || e.Type == verbs.EventDeviceFatal {
			t.Fatalf("%+v of a port that is up", e)
		}
	}
	for _, up := range []bool{false, true, false, true} {
		want := verbs.EventPortError
		if up {
			want = verbs.EventPortActive
		}
		if err := set(up); err != nil {
			t.Fatal(err)
		}
		if e := tells(t, target, b, want); e.Port != target.AH.Port || e.QPN != 0 {
			t.Errorf("up %v: %+v", up, e)
		}
		if attr, err := b.QueryPort(target.AH.Port); err != nil || (attr.State == verbs.PortActive) != up {
			t.Errorf("up %v: the port is %+v, %v", up, attr, err)
		}
	}
}
