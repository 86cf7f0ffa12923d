package verbstest

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

// message is a request that sends a part of from.
func (r *rig) message(id uint64, offset, length int) verbs.WR {
	w := r.write(id, offset, length)
	w.Op, w.Remote = verbs.OpSend, verbs.Remote{}
	return w
}

// memory is a part of to, for a message.
func (r *rig) memory(id uint64, offset, length int) verbs.ReceiveWR {
	return verbs.ReceiveWR{ID: id, SGEs: []verbs.SGE{{
		Addr: verbs.AddressOf(r.to.mem) + uint64(offset), Length: uint32(length), LKey: r.to.mr.LKey,
	}}}
}

func (r *rig) receive(wrs ...verbs.ReceiveWR) {
	r.Helper()
	if n, err := r.peer.PostReceives(wrs); n != len(wrs) || err != nil {
		r.Fatalf("posted %d of %d receives, %v", n, len(wrs), err)
	}
}

// both sorts completions by the side that they are of.
func (r *rig) both(n int) (sent, received []verbs.Completion) {
	r.Helper()
	for _, c := range r.await(n) {
		if c.QPN == r.peer.Number() {
			received = append(received, c)
		} else {
			sent = append(sent, c)
		}
	}
	return sent, received
}

// testMessages: each goes where the peer's next receive says, with its length, and no other byte
// changes.
func testMessages(t testing.TB, target Target) {
	r := newRig(t, target)
	const room = 4096 + 5
	for round := range 3 { // often enough to go around the queue
		var sends []verbs.WR
		var receives []verbs.ReceiveWR
		clear(r.to.mem)
		want := bytes.Clone(r.to.mem)
		for i := range depth {
			from, length := (depth-1-i)*room, room-i-round
			sends = append(sends, r.message(uint64(i), from, length))
			receives = append(receives, r.memory(uint64(i)|1<<63, i*room, room))
			copy(want[i*room:], r.from.mem[from:][:length])
		}
		r.receive(receives...)
		r.post(sends...)
		sent, received := r.both(2 * depth)
		for i := range min(len(sent), len(received)) {
			if c := sent[i]; c.ID != uint64(i) || c.Status != verbs.StatusSuccess || c.QPN != r.qp.Number() {
				t.Errorf("message %d: %+v", i, c)
			}
			if c := received[i]; c.ID != uint64(i)|1<<63 || c.Status != verbs.StatusSuccess || c.ByteLen != uint32(room-i-round) {
				t.Errorf("receive %d: %+v", i, c)
			}
		}
		if len(sent) != depth || len(received) != depth || !bytes.Equal(r.to.mem, want) {
			t.Fatalf("%d messages, %d receives; all bytes as they were: %v", len(sent), len(received), bytes.Equal(r.to.mem, want))
		}
	}
}

// testImmediates: one goes with a message, or with a write, whose bytes do not touch the memory that it
// takes.
func testImmediates(t testing.TB, target Target) {
	r := newRig(t, target)
	const imm = 0xfedcba98
	send := r.message(1, 0, 64)
	send.Op, send.Imm = verbs.OpSendImm, imm
	write := r.write(2, 1024, 64)
	write.Op, write.Imm = verbs.OpWriteImm, imm+1
	plain := r.message(3, 0, 64)
	plain.Imm = imm + 2
	r.receive(r.memory(1, 2048, 128), r.memory(2, 4096, 128), r.memory(3, 8192, 128))
	want := bytes.Clone(r.to.mem)
	copy(want[2048:], r.from.mem[:64])
	copy(want[1024:], r.from.mem[1024:][:64])
	copy(want[8192:], r.from.mem[:64])
	r.post(send, write, plain)
	sent, received := r.both(6)
	for i, c := range received {
		want := verbs.Completion{ID: uint64(i + 1), ByteLen: 64, QPN: r.peer.Number(), WithImm: i < 2}
		if want.WithImm {
			want.Imm = imm + uint32(i)
		}
		if c != want {
			t.Errorf("%+v, want %+v", c, want)
		}
	}
	for _, c := range sent {
		if c.Status != verbs.StatusSuccess || c.WithImm || c.Imm != 0 {
			t.Errorf("the sender: %+v", c)
		}
	}
	if len(received) != 3 || !bytes.Equal(r.to.mem, want) {
		t.Errorf("%d receives; all bytes as they were: %v", len(received), bytes.Equal(r.to.mem, want))
	}
}

// testLongMessage: both sides are told, and nothing is written beyond the memory.
func testLongMessage(t testing.TB, target Target) {
	r := newRig(t, target)
	r.receive(r.memory(2, 0, 64))
	r.post(r.message(1, 0, 128))
	sent, received := r.both(2)
	if len(sent) != 1 || len(received) != 1 || sent[0].Status == verbs.StatusSuccess || received[0].Status == verbs.StatusSuccess {
		t.Errorf("%+v, %+v", sent, received)
	}
	if !bytes.Equal(r.to.mem[64:], make([]byte, areaSize-64)) {
		t.Error("bytes beyond the memory changed")
	}
}

// testFullReceives: a full queue takes what fits, and says so; a bad one among good ones is told of.
func testFullReceives(t testing.TB, target Target) {
	r := newRig(t, target)
	batch := make([]verbs.ReceiveWR, most)
	for i := range batch {
		batch[i] = r.memory(uint64(i), 0, 64)
	}
	bad := r.memory(depth, 0, 64)
	bad.SGEs = nil
	if n, err := r.peer.PostReceives([]verbs.ReceiveWR{batch[0], bad, batch[1]}); n != 1 || !oneOf(err, unix.EINVAL) {
		t.Errorf("posted %d, %v; want 1 and the second one's error", n, err)
	}
	n, err := r.peer.PostReceives(batch[1:])
	if err != nil || n < depth-1 || n >= len(batch)-1 {
		t.Fatalf("posted %d of %d to a queue of %d, %v", n, len(batch)-1, depth, err)
	}
}

// testReceivesFlushed: a queue pair in the error state gives the memory back.
func testReceivesFlushed(t testing.TB, target Target) {
	r := newRig(t, target)
	r.receive(r.memory(1, 0, 64), r.memory(2, 64, 64))
	r.must(r.peer.Modify(verbs.QPAttr{Mask: verbs.AttrState, State: verbs.ErrorState}))
	for i, c := range r.await(2) {
		if c.ID != uint64(i+1) || c.Status != verbs.StatusFlushed || c.QPN != r.peer.Number() {
			t.Errorf("receive %d: %+v", i, c)
		}
	}
}
