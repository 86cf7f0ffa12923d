package verbstest

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

// sharedRig is newRig with a further pair of queue pairs; both peers have their receives in common.
type sharedRig struct {
	*rig
	srq            verbs.SRQ
	other, another verbs.QP
}

func newSharedRig(t testing.TB, target Target) *sharedRig {
	t.Helper()
	r := &sharedRig{rig: newUnconnectedRig(t, target)}
	var err error
	r.srq, err = r.backend.CreateSRQ(verbs.SRQInit{PD: r.pd, MaxRecv: depth, MaxSGE: 2})
	r.must(err)
	r.peer, r.another, r.other = r.sharing(), r.sharing(), r.newQP()
	for _, pair := range [][2]verbs.QP{{r.qp, r.peer}, {r.other, r.another}} {
		r.connect(pair[0], pair[1].Number())
		r.connect(pair[1], pair[0].Number())
	}
	return r
}

func (r *sharedRig) sharing() verbs.QP {
	r.Helper()
	q, err := r.backend.CreateQP(verbs.QPInit{PD: r.pd, Type: verbs.RC, SendCQ: r.cq, RecvCQ: r.cq, MaxSend: depth, MaxRecv: depth, MaxSGE: 2, SRQ: r.srq})
	r.must(err)
	return q
}

func (r *sharedRig) receive(wrs ...verbs.ReceiveWR) {
	r.Helper()
	if n, err := r.srq.PostReceives(wrs); n != len(wrs) || err != nil {
		r.Fatalf("posted %d of %d receives, %v", n, len(wrs), err)
	}
}

// arrive sends a message, and looks at the completion of its receive.
func (r *sharedRig) arrive(from, to verbs.QP, message verbs.WR, receive uint64) {
	r.Helper()
	if n, err := from.Post([]verbs.WR{message}); n != 1 || err != nil {
		r.Fatalf("posted %d requests, %v", n, err)
	}
	for _, c := range r.await(2) {
		if c.Status != verbs.StatusSuccess || c.QPN == to.Number() && (c.ID != receive || c.ByteLen != message.SGEs[0].Length) || c.QPN != to.Number() && (c.QPN != from.Number() || c.ID != message.ID) {
			r.Errorf("message %d, which takes receive %d: %+v", message.ID, receive, c)
		}
	}
}

// testShared: whichever queue pair a message comes to, it takes the memory that was queued first, over several pieces, too.
// One that breaks down leaves the rest to the other.
func testShared(t testing.TB, target Target) {
	r := newSharedRig(t, target)
	for round := range 3 { // often enough to go around the queue
		clear(r.to.mem)
		want := bytes.Clone(r.to.mem)
		var receives []verbs.ReceiveWR
		for i := range depth {
			receive := r.memory(uint64(i)|1<<63, 0, 0)
			receive.SGEs = cut(r.to, [2]int{i * 4096, 50}, [2]int{i*4096 + 1000, 2000})
			receives = append(receives, receive)
		}
		r.receive(receives...)
		for i := range depth {
			from, to := r.qp, r.peer
			if (i+round)%3 == 0 {
				from, to = r.other, r.another
			}
			length := 1000 + i
			r.arrive(from, to, r.message(uint64(i), i*7, length), uint64(i)|1<<63)
			copy(want[i*4096:], r.from.mem[i*7:][:50])
			copy(want[i*4096+1000:], r.from.mem[i*7+50:][:length-50])
		}
		if !bytes.Equal(r.to.mem, want) {
			t.Fatal("other bytes, or elsewhere")
		}
	}
	r.receive(r.memory(1, 0, 64), r.memory(2, 64, 64))
	r.must(r.peer.Modify(verbs.QPAttr{Mask: verbs.AttrState, State: verbs.ErrorState}))
	r.quiet(make([]verbs.Completion, 8))
	r.arrive(r.other, r.another, r.message(3, 0, 64), 1)
}

// testSharedInUse: queue pairs keep it, and take no receives of their own; it holds what it was made for, and refuses
// what it was not.
func testSharedInUse(t testing.TB, target Target) {
	r := newSharedRig(t, target)
	good := r.memory(1, 0, 64)
	if n, err := r.peer.PostReceives([]verbs.ReceiveWR{good}); n != 0 || !oneOf(err, unix.EINVAL) {
		t.Errorf("a receive of a queue pair that shares them: posted %d, %v; want EINVAL", n, err)
	}
	bad := good
	bad.SGEs = append(cut(r.to, [2]int{0, 1}, [2]int{1, 1}), good.SGEs...)
	if n, err := r.srq.PostReceives([]verbs.ReceiveWR{good, bad, good}); n != 1 || !oneOf(err, unix.EINVAL) {
		t.Errorf("three pieces where there is room for two: posted %d, %v; want 1 and EINVAL", n, err)
	}
	batch := make([]verbs.ReceiveWR, most)
	for i := range batch {
		batch[i] = good
	}
	if n, err := r.srq.PostReceives(batch); err != nil || n < depth-1 || n >= len(batch) {
		t.Errorf("posted %d of %d to a queue of %d, %v", n, len(batch), depth, err)
	}
	if err := r.srq.Destroy(); !oneOf(err, unix.EBUSY) {
		t.Fatalf("destroying it in use: %v, want EBUSY", err)
	}
	r.must(r.peer.Destroy())
	r.must(r.another.Destroy())
	r.must(r.srq.Destroy())
	_, noneErr := r.backend.CreateSRQ(verbs.SRQInit{PD: r.pd})
	_, hugeErr := r.backend.CreateSRQ(verbs.SRQInit{PD: r.pd, MaxRecv: 1 << 30})
	init := verbs.QPInit{PD: r.pd, Type: verbs.RC, SendCQ: r.cq, RecvCQ: r.cq, MaxSend: 1, SRQ: foreignSRQ{}}
	_, foreignErr := r.backend.CreateQP(init)
	for what, err := range map[string]error{"of nothing": noneErr, "huge": hugeErr, "another backend's": foreignErr} {
		if !oneOf(err, unix.EINVAL, unix.ENOMEM) {
			t.Errorf("a shared receive queue, %s: %v, want EINVAL or ENOMEM", what, err)
		}
	}
}

type foreignSRQ struct{}

func (foreignSRQ) PostReceives([]verbs.ReceiveWR) (int, error) { return 0, nil }
func (foreignSRQ) Destroy() error                              { return nil }
