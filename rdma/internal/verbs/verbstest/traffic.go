package verbstest

import (
	"bytes"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

// testWrite moves every byte, and no other, from and to anywhere.
func testWrite(t testing.TB, target Target) { testMove(t, target, verbs.OpWrite) }

func testRead(t testing.TB, target Target) { testMove(t, target, verbs.OpRead) }

func testMove(t testing.TB, target Target, op verbs.Op) {
	r := newRig(t, target)
	const offset = 5
	for i, size := range []int{1, 1023, 1024, 1025, 4096, areaSize - offset - 1} {
		w := r.write(uint64(i)|1<<63, offset, size)
		source, sink := r.from.mem, r.to.mem
		if w.Op = op; op == verbs.OpRead {
			source, sink = sink, source
			for i := range source {
				source[i] = byte(i * (size + 3))
			}
		}
		clear(sink)
		want := bytes.Clone(sink)
		copy(want[offset:], source[offset:][:size])
		r.post(w)
		c := r.await(1)[0]
		if c.ID != uint64(i)|1<<63 || c.Status != verbs.StatusSuccess || c.QPN != r.qp.Number() {
			t.Fatalf("%d bytes: %+v", size, c)
		}
		if !bytes.Equal(sink, want) {
			t.Fatalf("%d bytes: they did not arrive as they were, or others changed", size)
		}
	}
}

// testReads has as many reads under way as the device says it can, or waits with those beyond: each brings its own bytes, and
// they complete in order.
func testReads(t testing.TB, target Target) {
	r := newRig(t, target)
	if r.reads == 0 {
		t.Fatal("the device says that a queue pair has no reads under way")
	}
	const each = areaSize / depth
	for i := range r.to.mem {
		r.to.mem[i] = byte(i / 256)
	}
	var requests []verbs.WR
	var want []byte
	for i := range depth {
		from := (depth - 1 - i) * each // another order than where they go
		w := r.write(uint64(i), i*each, each)
		w.Op, w.Remote.Addr = verbs.OpRead, verbs.AddressOf(r.to.mem)+uint64(from)
		requests, want = append(requests, w), append(want, r.to.mem[from:][:each]...)
	}
	r.post(requests...)
	for i, c := range r.await(depth) {
		if c.ID != uint64(i) || c.Status != verbs.StatusSuccess {
			t.Errorf("read %d: %+v", i, c)
		}
	}
	if !bytes.Equal(r.from.mem, want) {
		t.Error("the bytes are not those that were there")
	}
}

// Regions are reached by their keys, as far as their access goes. What is refused
// changes nothing. A device may answer none of it, so that each request fails when its
// retries are used up, seconds later: they wait for that together.
func testKeys(t testing.TB, target Target) {
	rigs := map[string]*rig{}
	for what, change := range map[string]func(*rig, *verbs.WR){
		"a wrong local key":  func(_ *rig, w *verbs.WR) { w.SGEs[0].LKey ^= 0xff00 },
		"a wrong remote key": func(_ *rig, w *verbs.WR) { w.Remote.RKey ^= 0xff00 },
		"beyond the end":     func(_ *rig, w *verbs.WR) { w.Remote.Addr += areaSize - 32 },
		"without access": func(r *rig, w *verbs.WR) {
			mr, err := r.backend.RegisterMR(r.pd, r.to.mem, verbs.AccessLocalWrite|verbs.AccessRemoteRead)
			r.must(err)
			w.Remote.RKey = mr.RKey
		},
		"after the end of the region": func(r *rig, w *verbs.WR) {
			mr, err := r.backend.RegisterMR(r.pd, r.to.mem, all)
			r.must(err)
			r.must(r.backend.DeregisterMR(mr.Handle))
			w.Remote.RKey = mr.RKey
		},
	} {
		r := newRig(t, target)
		w := r.write(1, 0, 64)
		w.Signaled = false // it completes all the same
		change(r, &w)
		r.post(w)
		rigs[what] = r
	}
	for what, r := range rigs {
		c := r.await(1)[0]
		// rdma_rxe of 6.12 flushes the very request whose local key is wrong.
		flushed := c.Status == verbs.StatusFlushed && what != "a wrong local key"
		if c.ID != 1 || c.Status == verbs.StatusSuccess || flushed {
			t.Errorf("%s: %+v", what, c)
		}
		if !bytes.Equal(r.to.mem, make([]byte, areaSize)) {
			t.Errorf("%s: it was written all the same", what)
		}
	}
}

func testSignaled(t testing.TB, target Target) {
	r := newRig(t, target)
	for round := range uint64(10) { // often enough to go around every queue
		var batch []verbs.WR
		for i := range uint64(depth) {
			w := r.write(round<<8|i, int(i)*64, 64)
			w.Signaled = i == depth-1
			batch = append(batch, w)
		}
		r.post(batch...)
		if c := r.await(1)[0]; c.ID != round<<8|(depth-1) || c.Status != verbs.StatusSuccess {
			t.Fatalf("round %d: %+v", round, c)
		}
	}
}

// testPoll takes what was posted in order, nothing twice, a part when there is room
// for a part, and leaves nothing of what stood in its memory.
func testPoll(t testing.TB, target Target) {
	r := newRig(t, target)
	wc := make([]verbs.Completion, depth)
	if n, err := r.cq.Poll(wc); n != 0 || err != nil {
		t.Fatalf("poll of an empty queue: %d, %v", n, err)
	}
	next := uint64(0)
	for range 5 {
		var batch []verbs.WR
		for i := range uint64(depth) {
			batch = append(batch, r.write(next+i, 0, 64))
		}
		r.post(batch...)
		time.Sleep(settle)
		if n, err := r.cq.Poll(nil); n != 0 || err != nil {
			t.Fatalf("poll for nothing: %d, %v", n, err)
		}
		deadline := target.deadline()
		for left := depth; left > 0; {
			part := wc[:min(3, left)]
			for i := range part {
				part[i] = verbs.Completion{ID: 99, Status: 99, ByteLen: 99, QPN: 99, VendorErr: 99}
			}
			n, err := r.cq.Poll(part)
			r.must(err)
			if n > len(part) {
				t.Fatalf("%d completions in room for %d", n, len(part))
			}
			for _, c := range part[:n] {
				want := verbs.Completion{ID: next, QPN: r.qp.Number(), ByteLen: c.ByteLen}
				if c != want || c.ByteLen == 99 {
					t.Fatalf("%+v, want %+v", c, want)
				}
				next++
			}
			if left -= n; time.Now().After(deadline) {
				t.Fatalf("%d completions are missing", left)
			}
		}
		r.quiet(wc)
	}
}

// testFull: a full queue takes what fits, says so, and takes the rest later.
func testFull(t testing.TB, target Target) {
	r := newDeafRig(t, target)
	batch := make([]verbs.WR, most)
	for i := range batch {
		batch[i] = r.write(uint64(i), 0, 64)
	}
	n, err := r.qp.Post(batch)
	if err != nil || n < depth || n >= len(batch) {
		t.Fatalf("posted %d of %d to a queue of %d, %v", n, len(batch), depth, err)
	}
	if m, err := r.qp.Post(batch[n:]); m != 0 || err != nil {
		t.Fatalf("posted %d more, %v", m, err)
	}
	r.connect(r.peer, r.qp.Number()) // and now it answers
	for i, c := range r.await(n) {
		if c.ID != uint64(i) || c.Status != verbs.StatusSuccess {
			t.Fatalf("completion %d: %+v", i, c)
		}
	}
	if m, err := r.qp.Post(batch[n : n+1]); m != 1 || err != nil {
		t.Fatalf("afterwards posted %d, %v", m, err)
	}
}

func testBadAmongGood(t testing.TB, target Target) {
	r := newRig(t, target)
	bad := r.write(2, 0, 64)
	bad.Op = 99
	if n, err := r.qp.Post([]verbs.WR{r.write(1, 0, 64), bad, r.write(3, 0, 64)}); n != 1 || !oneOf(err, unix.EOPNOTSUPP, unix.EINVAL) {
		t.Fatalf("posted %d, %v; want 1 and the second one's error", n, err)
	}
	if c := r.await(1)[0]; c.ID != 1 || c.Status != verbs.StatusSuccess {
		t.Errorf("%+v", c)
	}
}

// testFlush: a queue pair that is put into the error state flushes what is under
// way, in order, and what was not signaled, too.
func testFlush(t testing.TB, target Target) {
	r := newDeafRig(t, target)
	var batch []verbs.WR
	for i := range uint64(5) {
		w := r.write(i, 0, 64)
		w.Signaled = i%2 == 0
		batch = append(batch, w)
	}
	r.post(batch...)
	r.quiet(make([]verbs.Completion, depth))
	r.must(r.qp.Modify(verbs.QPAttr{Mask: verbs.AttrState, State: verbs.ErrorState}))
	for i, c := range r.await(len(batch)) {
		if c.ID != uint64(i) || c.Status != verbs.StatusFlushed || c.QPN != r.qp.Number() {
			t.Errorf("completion %d: %+v", i, c)
		}
	}
	if !bytes.Equal(r.to.mem, make([]byte, areaSize)) {
		t.Error("a flushed request was carried out")
	}
}

// testFlushAfterFailure: the same when a request fails.
func testFlushAfterFailure(t testing.TB, target Target) {
	r := newRig(t, target)
	bad := r.write(1, 0, 64)
	bad.Remote.RKey ^= 0xff00
	late := r.write(3, 128, 64)
	late.Signaled = false
	r.post(r.write(0, 0, 64), bad, r.write(2, 64, 64), late)
	got := r.await(4)
	for i, c := range got {
		ok := c.Status == verbs.StatusFlushed
		switch i {
		case 0:
			ok = c.Status == verbs.StatusSuccess
		case 1:
			ok = c.Status != verbs.StatusSuccess && c.Status != verbs.StatusFlushed
		}
		if c.ID != uint64(i) || !ok {
			t.Errorf("completion %d: %+v", i, c)
		}
	}
	if !bytes.Equal(r.to.mem[64:], make([]byte, areaSize-64)) {
		t.Error("requests behind the one that failed were carried out")
	}
}

// testDestroyedBusy: no completion comes of a queue pair that is no more.
func testDestroyedBusy(t testing.TB, target Target) {
	r := newDeafRig(t, target)
	r.post(r.write(1, 0, 64), r.write(2, 0, 64))
	r.must(r.qp.Destroy())
	r.quiet(make([]verbs.Completion, depth))
	r.must(r.peer.Destroy())
	r.must(r.cq.Destroy())
}

func testAllocations(t testing.TB, target Target) {
	r := newRig(t, target)
	wrs := []verbs.WR{r.write(1, 0, 64)}
	wc := make([]verbs.Completion, 4)
	if n := testing.AllocsPerRun(50, func() {
		if n, err := r.qp.Post(wrs); n != 1 || err != nil {
			t.Fatalf("posted %d, %v", n, err)
		}
		for deadline := target.deadline(); ; {
			n, err := r.cq.Poll(wc)
			if err != nil || time.Now().After(deadline) {
				t.Fatalf("no completion, %v", err)
			}
			if n == 1 {
				break
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations for each post and poll", n)
	}
}
