package verbstest

import (
	"bytes"
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

// atomic is a request that changes a number of to, and gets what it was into from.
func (r *rig) atomic(id uint64, op verbs.Op, result, target int, compareAdd, swap uint64) verbs.WR {
	w := r.write(id, result, verbs.AtomicBytes)
	w.Op, w.CompareAdd, w.Swap = op, compareAdd, swap
	w.Remote.Addr = verbs.AddressOf(r.to.mem) + uint64(target)
	return w
}

// testAtomics: each changes its number and no other byte, in the order of the requests, and tells what it
// was. One that is not of the right length or place is refused before it is sent.
func testAtomics(t testing.TB, target Target) {
	r := newRig(t, target)
	const (
		add, swap = verbs.OpFetchAdd, verbs.OpCompareSwap
		at        = 4096 - verbs.AtomicBytes
		most      = ^uint64(0)
	)
	for i := range r.to.mem {
		r.to.mem[i] = byte(i * 3)
	}
	want := bytes.Clone(r.to.mem)
	binary.NativeEndian.PutUint64(r.to.mem[at:], 0x0123456789abcdef)
	var requests []verbs.WR
	var results []uint64
	for i, step := range []struct {
		op                    verbs.Op
		compareAdd, swap, was uint64
	}{
		{add, 1 << 40, 99, 0x0123456789abcdef},
		{swap, 0x0123456789abcdef, 5, 0x0123466789abcdef}, // which it is not any more
		{swap, 0x0123466789abcdef, most - 1, 0x0123466789abcdef},
		{add, 3, 0, most - 1}, // over the end
		{swap, 1, 0xfedcba9876543210, 1},
	} {
		requests = append(requests, r.atomic(uint64(i), step.op, 8*i, at, step.compareAdd, step.swap))
		results = append(results, step.was)
	}
	r.post(requests...)
	for i, c := range r.await(len(requests)) {
		if c.ID != uint64(i) || c.Status != verbs.StatusSuccess || c.QPN != r.qp.Number() {
			t.Errorf("request %d: %+v", i, c)
		}
		if was := binary.NativeEndian.Uint64(r.from.mem[8*i:]); was != results[i] {
			t.Errorf("request %d found %#x, want %#x", i, was, results[i])
		}
	}
	binary.NativeEndian.PutUint64(want[at:], 0xfedcba9876543210)
	if !bytes.Equal(r.to.mem, want) {
		t.Errorf("the number is %#x, or other bytes changed", r.to.mem[at:][:verbs.AtomicBytes])
	}
	for what, change := range map[string]func(*verbs.WR){
		"of 4 bytes":  func(w *verbs.WR) { w.SGEs[0].Length = 4 },
		"of 16 bytes": func(w *verbs.WR) { w.SGEs[0].Length = 16 },
		"not aligned": func(w *verbs.WR) { w.Remote.Addr += 4 },
	} {
		w := r.atomic(9, add, 0, at, 1, 0)
		change(&w)
		if n, err := r.qp.Post([]verbs.WR{w}); n != 0 || !oneOf(err, unix.EINVAL) {
			t.Errorf("%s: posted %d, %v", what, n, err)
		}
	}
}
