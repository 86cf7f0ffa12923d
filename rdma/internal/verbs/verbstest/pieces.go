package verbstest

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

// limited is newQP for requests of several pieces, or inline.
func (r *rig) limited(most verbs.Limits) verbs.QP {
	r.Helper()
	q, err := r.backend.CreateQP(verbs.QPInit{
		PD: r.pd, Type: verbs.RC, SendCQ: r.cq, RecvCQ: r.cq, MaxSend: depth, MaxRecv: depth,
		MaxSGE: uint32(most.SGEs), MaxInline: uint32(most.Inline),
	})
	r.must(err)
	return q
}

// limitedRig is newRig of such queue pairs, and leaves them unconnected.
func limitedRig(t testing.TB, target Target, most verbs.Limits) *rig {
	t.Helper()
	r := newUnconnectedRig(t, target)
	r.qp, r.peer = r.limited(most), r.limited(most)
	return r
}

// cut are pieces of a region: of each the offset and the length.
func cut(a area, at ...[2]int) (sges []verbs.SGE) {
	for _, p := range at {
		sges = append(sges, verbs.SGE{Addr: verbs.AddressOf(a.mem) + uint64(p[0]), Length: uint32(p[1]), LKey: a.mr.LKey})
	}
	return sges
}

// joined are their bytes, one behind the other.
func joined(a area, at ...[2]int) (all []byte) {
	for _, p := range at {
		all = append(all, a.mem[p[0]:][:p[1]]...)
	}
	return all
}

// testPieces: what a request gathers is one message, and what comes in is scattered over its pieces in their order,
// whose ends are anywhere.
func testPieces(t testing.TB, target Target) {
	const n = 4
	r := limitedRig(t, target, verbs.Limits{SGEs: n})
	r.connect(r.qp, r.peer.Number())
	r.connect(r.peer, r.qp.Number())
	other := r.register(mapped(t, areaSize))
	for i := range other.mem {
		other.mem[i] = byte(i * 11)
	}
	spread := [][2]int{{40000, 1}, {17, 5000}, {9000, 1024}, {3, 4000}}
	total := 1 + 5000 + 1024 + 4000
	gathered := joined(r.from, spread...)

	write := r.write(1, 0, total)
	write.SGEs = cut(r.from, spread...)
	r.post(write)
	if c := r.await(1)[0]; c.ID != 1 || c.Status != verbs.StatusSuccess || !bytes.Equal(r.to.mem[:total], gathered) || !bytes.Equal(r.to.mem[total:], make([]byte, areaSize-total)) {
		t.Fatalf("a write of %d pieces: %+v; all bytes as they were: %v", n, c, bytes.Equal(r.to.mem[:total], gathered))
	}

	read := r.write(2, 0, total)
	read.Op, read.SGEs = verbs.OpRead, cut(other, spread...)
	r.post(read)
	if c := r.await(1)[0]; c.ID != 2 || c.Status != verbs.StatusSuccess || !bytes.Equal(joined(other, spread...), gathered) || other.mem[2] != 22 || other.mem[9000+1024] != byte((9000+1024)*11%256) {
		t.Fatalf("a read into %d pieces: %+v", n, c)
	}

	// A message shorter than its memory leaves the last pieces alone.
	clear(r.to.mem)
	message := r.message(3, 0, total)
	message.SGEs = cut(r.from, spread[:3]...)
	receive := r.memory(4, 0, 0)
	into := [][2]int{{500, 6000}, {20000, 20}, {30000, 100}, {60000, 64}}
	receive.SGEs = cut(r.to, into...)
	r.receive(receive)
	r.post(message)
	sent, received := r.both(2)
	want := make([]byte, 6000+20+100+64)
	copy(want, joined(r.from, spread[:3]...))
	if len(sent) != 1 || len(received) != 1 || received[0].ByteLen != 1+5000+1024 || !bytes.Equal(joined(r.to, into...), want) {
		t.Errorf("a message over pieces: %+v, %+v; all bytes as they were: %v", sent, received, bytes.Equal(joined(r.to, into...), want))
	}

	write.SGEs = cut(r.from, append(spread, spread[0])...)
	if k, err := r.qp.Post([]verbs.WR{write}); k != 0 || !oneOf(err, unix.EINVAL) {
		t.Errorf("%d pieces where there is room for %d: posted %d, %v", n+1, n, k, err)
	}
	receive.SGEs = cut(r.to, append(into, into[0])...)
	if k, err := r.peer.PostReceives([]verbs.ReceiveWR{receive}); k != 0 || !oneOf(err, unix.EINVAL) {
		t.Errorf("a receive into %d pieces where there is room for %d: posted %d, %v", n+1, n, k, err)
	}
}

// testInline: the bytes that go are those that were there when the request was posted, from memory that nobody
// has registered.
func testInline(t testing.TB, target Target) {
	const most = 64
	r := limitedRig(t, target, verbs.Limits{SGEs: 2, Inline: most})
	r.connect(r.qp, r.peer.Number())
	plain := area{mem: mapped(t, 4096)}
	for i := range plain.mem {
		plain.mem[i] = byte(i*13 + 1)
	}
	write := r.write(1, 1024, most)
	write.Inline, write.SGEs = true, cut(plain, [2]int{100, 24}, [2]int{300, 40})
	send := r.message(2, 0, 10)
	send.Inline, send.SGEs = true, cut(plain, [2]int{500, 10})
	want := make([]byte, areaSize)
	copy(want[1024:], joined(plain, [2]int{100, 24}, [2]int{300, 40}))
	copy(want[4096:], plain.mem[500:][:10])
	steps := r.steps(r.qp.Number())
	r.must(r.peer.Modify(steps[0]))
	r.receive(r.memory(3, 4096, 64))
	r.post(write, send) // to a peer that does not listen yet
	clear(plain.mem)
	r.must(r.peer.Modify(steps[1]))
	r.must(r.peer.Modify(steps[2]))
	sent, received := r.both(3)
	if len(sent) != 2 || len(received) != 1 || sent[0].Status != verbs.StatusSuccess || sent[1].Status != verbs.StatusSuccess || received[0].ByteLen != 10 {
		t.Fatalf("%+v, %+v", sent, received)
	}
	if !bytes.Equal(r.to.mem, want) {
		t.Error("other bytes came than those that were there when the requests were posted")
	}
	for what, change := range map[string]func(*verbs.WR){
		"a byte too many": func(w *verbs.WR) { w.SGEs = cut(plain, [2]int{0, most + 1}) },
		"a read":          func(w *verbs.WR) { w.Op = verbs.OpRead },
		"a number":        func(w *verbs.WR) { w.Op, w.SGEs = verbs.OpFetchAdd, cut(r.from, [2]int{0, 8}) },
	} {
		bad := write
		change(&bad)
		if n, err := r.qp.Post([]verbs.WR{bad}); n != 0 || !oneOf(err, unix.EINVAL) {
			t.Errorf("%s inline: posted %d, %v", what, n, err)
		}
	}
}
