package verbstest

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

// qKey is that of the peers.
const qKey = 0x11111111

// newDatagramRig is newRig of queue pairs that are connected with nobody, and can receive into two pieces each.
func newDatagramRig(t testing.TB, target Target) *rig {
	t.Helper()
	r := newUnconnectedRig(t, target)
	r.qp, r.peer = r.datagrams(), r.datagrams()
	return r
}

func (r *rig) datagrams() verbs.QP {
	r.Helper()
	q, err := r.backend.CreateQP(verbs.QPInit{PD: r.pd, Type: verbs.UD, SendCQ: r.cq, RecvCQ: r.cq, MaxSend: depth, MaxRecv: depth, MaxSGE: 2})
	r.must(err)
	for _, step := range []verbs.QPAttr{
		{Mask: verbs.AttrState | verbs.AttrPKeyIndex | verbs.AttrPort | verbs.AttrQKey, State: verbs.Init, Port: r.target.AH.Port, QKey: qKey},
		{Mask: verbs.AttrState, State: verbs.ReadyToRecv},
		{Mask: verbs.AttrState | verbs.AttrSQPSN, State: verbs.ReadyToSend, SQPSN: psn},
	} {
		r.must(q.Modify(step))
	}
	return q
}

// testDatagrams: each goes to the queue pair that it names, whose memory has it behind GRHBytes; what that has no memory for,
// or what has another key, is dropped, and what comes behind it arrives. A datagram to nobody, or by a way that is none, is refused.
func testDatagrams(t testing.TB, target Target) {
	r := newDatagramRig(t, target)
	other := r.datagrams()
	way, err := r.backend.CreateAH(r.pd, target.AH)
	r.must(err)
	const imm = 0xfedcba98
	length := target.MTU.Bytes()
	datagram := func(id uint64, to verbs.QP, offset, length int) verbs.WR {
		w := r.message(id, offset, length)
		w.To = &verbs.Datagram{AH: way, QPN: to.Number(), QKey: qKey}
		return w
	}
	memory := func(id uint64, offset, length int) verbs.ReceiveWR { // the header has a place of its own
		w := r.memory(id, 0, 0)
		w.SGEs = cut(r.to, [2]int{60000, verbs.GRHBytes}, [2]int{offset, length})
		return w
	}
	r.receive(memory(1, 5, length), memory(2, 10000, length))
	if n, err := other.PostReceives([]verbs.ReceiveWR{memory(3, 20000, length)}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	whole, elsewhere, tagged := datagram(1, r.peer, 7, length), datagram(2, other, 300, 64), datagram(4, r.peer, 500, 1)
	tagged.Op, tagged.Imm = verbs.OpSendImm, imm
	astray, unexpected := datagram(3, r.peer, 0, 64), datagram(5, other, 0, 64)
	astray.To.QKey ^= 1
	want := bytes.Clone(r.to.mem)
	copy(want[5:], r.from.mem[7:][:length])
	copy(want[20000:], r.from.mem[300:][:64])
	copy(want[10000:], r.from.mem[500:][:1])
	r.post(whole, elsewhere, astray, tagged, unexpected)
	expected := map[verbs.Completion]bool{}
	for id := range uint64(5) {
		expected[verbs.Completion{ID: id + 1, QPN: r.qp.Number()}] = true
	}
	header := uint32(verbs.GRHBytes)
	expected[verbs.Completion{ID: 1, QPN: r.peer.Number(), ByteLen: header + uint32(length)}] = true
	expected[verbs.Completion{ID: 2, QPN: r.peer.Number(), ByteLen: header + 1, WithImm: true, Imm: imm}] = true
	expected[verbs.Completion{ID: 3, QPN: other.Number(), ByteLen: header + 64}] = true
	for _, c := range r.await(len(expected)) {
		if c.QPN == r.qp.Number() {
			c.ByteLen = 0
		}
		if !expected[c] {
			t.Errorf("%+v", c)
		}
		delete(expected, c)
	}
	if len(expected) > 0 {
		t.Errorf("missing: %+v", expected)
	}
	clear(r.to.mem[60000:][:verbs.GRHBytes])
	if !bytes.Equal(r.to.mem, want) {
		t.Error("other bytes, or elsewhere")
	}
	for what, change := range map[string]func(*verbs.WR){
		"a write":         func(w *verbs.WR) { w.Op = verbs.OpWrite },
		"to nobody":       func(w *verbs.WR) { w.To = nil },
		"by no way":       func(w *verbs.WR) { w.To = &verbs.Datagram{AH: way + 1<<20, QPN: w.To.QPN, QKey: qKey} },
		"as a compare":    func(w *verbs.WR) { w.Op = verbs.OpCompareSwap },
		"with immediates": func(w *verbs.WR) { w.Op = verbs.OpWriteImm },
	} {
		w := datagram(6, r.peer, 0, 8)
		change(&w)
		if n, err := r.qp.Post([]verbs.WR{w}); n != 0 || !oneOf(err, unix.EINVAL) {
			t.Errorf("%s: posted %d, %v; want EINVAL", what, n, err)
		}
	}
	r.must(r.backend.DestroyAH(way))
	if err := r.backend.DestroyAH(way); !oneOf(err, unix.EINVAL) {
		t.Errorf("a way that is gone: %v, want EINVAL", err)
	}
}
