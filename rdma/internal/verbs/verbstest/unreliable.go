package verbstest

import (
	"bytes"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

// newUnreliableRig is newRig of unreliable connections.
func newUnreliableRig(t testing.TB, target Target) *rig {
	t.Helper()
	r := newUnconnectedRig(t, target)
	r.qp, r.peer = r.newQPOf(verbs.UC), r.newQPOf(verbs.UC)
	r.connectUnreliably(r.qp, r.peer.Number())
	r.connectUnreliably(r.peer, r.qp.Number())
	return r
}

// connectUnreliably leaves out what makes a connection reliable, which is refused.
func (r *rig) connectUnreliably(q verbs.QP, dest uint32) {
	r.Helper()
	steps := r.steps(dest)
	steps[0].Access = verbs.AccessLocalWrite | verbs.AccessRemoteWrite
	steps[1].Mask &^= verbs.AttrMaxDestRDAtomic | verbs.AttrMinRNRTimer
	steps[2].Mask &^= verbs.AttrTimeout | verbs.AttrRetryCount | verbs.AttrRNRRetry | verbs.AttrMaxRDAtomic
	for _, step := range steps {
		r.must(q.Modify(step))
	}
}

// arrived waits until memory is as it should be: nothing tells that a write has arrived.
func (r *rig) arrived(want []byte) bool {
	for deadline := r.target.deadline(); !bytes.Equal(r.to.mem, want); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// testUnreliable: writes and messages move every byte and no other, with their immediates and in their order, also
// over several packets. What would be answered is refused before it is sent.
func testUnreliable(t testing.TB, target Target) {
	r := newUnreliableRig(t, target)
	const length, imm = 3*4096 + 5, 0xfedcba98
	write, tagged := r.write(1, 7, length), r.write(2, 20000, length)
	tagged.Op, tagged.Imm = verbs.OpWriteImm, imm
	message, last := r.message(3, 100, length), r.message(4, 50, 64)
	last.Op, last.Imm = verbs.OpSendImm, imm+1
	r.receive(r.memory(1, 0, 1), r.memory(2, 36000, length+1), r.memory(3, 56000, 64))
	want := bytes.Clone(r.to.mem)
	copy(want[7:], r.from.mem[7:][:length])
	copy(want[20000:], r.from.mem[20000:][:length])
	copy(want[36000:], r.from.mem[100:][:length])
	copy(want[56000:], r.from.mem[50:][:64])
	r.post(write, tagged, message, last)
	sent, received := r.both(7)
	for i, c := range sent {
		if c.ID != uint64(i+1) || c.Status != verbs.StatusSuccess || c.QPN != r.qp.Number() {
			t.Errorf("request %d: %+v", i+1, c)
		}
	}
	for i, c := range received {
		want := verbs.Completion{ID: uint64(i + 1), ByteLen: length, QPN: r.peer.Number(), WithImm: true, Imm: imm}
		switch i {
		case 1:
			want.WithImm, want.Imm = false, 0
		case 2:
			want.ByteLen, want.Imm = 64, imm+1
		}
		if c != want {
			t.Errorf("%+v, want %+v", c, want)
		}
	}
	if len(sent) != 4 || len(received) != 3 || !r.arrived(want) {
		t.Errorf("%d requests, %d receives; all bytes as they should be: %v", len(sent), len(received), bytes.Equal(r.to.mem, want))
	}
	for what, change := range map[string]func(*verbs.WR){
		"a read":   func(w *verbs.WR) { w.Op = verbs.OpRead },
		"a number": func(w *verbs.WR) { w.Op, w.SGEs[0].Length, w.Remote.Addr = verbs.OpFetchAdd, 8, w.Remote.Addr&^7 },
	} {
		w := r.write(5, 0, 64)
		change(&w)
		if n, err := r.qp.Post([]verbs.WR{w}); n != 0 || !oneOf(err, unix.EINVAL) {
			t.Errorf("%s: posted %d, %v; want EINVAL", what, n, err)
		}
	}
	r.quiet(make([]verbs.Completion, 8))
}

// testDropped: what an unreliable connection cannot bring is dropped, nobody is told, and what comes behind it arrives.
func testDropped(t testing.TB, target Target) {
	r := newUnreliableRig(t, target)
	astray := r.write(1, 0, 64)
	astray.Remote.RKey ^= 0xff00
	want := bytes.Clone(r.to.mem)
	copy(want[8192:], r.from.mem[128:][:64])
	r.post(r.message(2, 64, 64), astray) // for which there is no receive, and no region
	for i, c := range r.await(2) {
		if c.Status != verbs.StatusSuccess || c.QPN != r.qp.Number() {
			t.Errorf("request %d, which is dropped: %+v", i, c)
		}
	}
	r.receive(r.memory(3, 8192, 128))
	r.post(r.message(4, 128, 64))
	sent, received := r.both(2)
	if len(sent) != 1 || sent[0].ID != 4 || sent[0].Status != verbs.StatusSuccess ||
		len(received) != 1 || received[0].ID != 3 || received[0].Status != verbs.StatusSuccess || received[0].ByteLen != 64 {
		t.Errorf("behind what was dropped: %+v, %+v", sent, received)
	}
	if !bytes.Equal(r.to.mem, want) {
		t.Error("what was dropped has changed memory, or what came behind it is not there")
	}
}
