//go:build guest

package rdma

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"umemstress/rdma/counters"
)

func TestWriteMovesEveryByte(t *testing.T) {
	for _, size := range []int{1, 3, 1023, 1024, 1025, 4096, 65536, 1<<20 + 7} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			e := newEndpoint(t, 4)
			// Neither buffer starts at a page, and both have bytes around that
			// must not change.
			const before, after = 5, 11
			source := anonymous(t, before+size+after)
			target := anonymous(t, before+size+after)
			fill(source, uint64(size))
			fill(target, uint64(size)+1)
			want := append(append(bytes.Clone(target[:before]), source[before:before+size]...), target[before+size:]...)
			from, to := register(t, e.pd, source), register(t, e.pd, target)
			err := e.qp.Post(Request{
				ID: 42, Signaled: true,
				Local:      Slice{MR: from, Offset: before, Length: size},
				RemoteAddr: to.Addr() + before, RKey: to.RKey(),
			})
			if err != nil {
				t.Fatal(err)
			}
			got := await(t, e.cq, 1)[0]
			if got.ID != 42 || got.QPN != e.qp.Address().QPN {
				t.Errorf("completion %+v", got)
			}
			if !bytes.Equal(target, want) {
				t.Error("the target's bytes are wrong")
			}
		})
	}
}

// What a port counts is read: each packet that is sent here comes here.
func TestCounters(t *testing.T) {
	e := newEndpoint(t, 4)
	source, target := anonymous(t, 65536), anonymous(t, 65536)
	from, to := register(t, e.pd, source), register(t, e.pd, target)
	read := func() counters.Counters {
		time.Sleep(20 * time.Millisecond) // the kernel tells for 12 ms what it has told before
		return counters.Read(Sysfs, e.ctx.Device().Name, 1)
	}
	before := read()
	if err := e.qp.Post(Request{ID: 1, Signaled: true, Local: Slice{MR: from, Length: 65536}, RemoteAddr: to.Addr(), RKey: to.RKey()}); err != nil {
		t.Fatal(err)
	}
	await(t, e.cq, 1)
	if risen := read().Since(before); risen["sent_pkts"] < 65536/4096 || risen["sent_pkts"] != risen["rcvd_pkts"] {
		t.Errorf("64 KiB were sent, and these have risen: %v", risen)
	}
}

func TestQueuesWrapAround(t *testing.T) {
	const depth, rounds, size = 8, 100, 64
	e := newEndpoint(t, depth)
	source, target := anonymous(t, depth*rounds*size), anonymous(t, depth*rounds*size)
	fill(source, 1)
	from, to := register(t, e.pd, source), register(t, e.pd, target)
	next := uint64(0)
	for round := range rounds {
		batch := make([]Request, depth)
		for i := range batch {
			n := round*depth + i
			batch[i] = Request{
				ID: uint64(n), Signaled: true,
				Local:      Slice{MR: from, Offset: n * size, Length: size},
				RemoteAddr: to.Addr() + uint64(n*size), RKey: to.RKey(),
			}
		}
		if n, err := e.qp.PostAll(batch); n != depth || err != nil {
			t.Fatalf("round %d: posted %d, %v", round, n, err)
		}
		for _, c := range await(t, e.cq, depth) {
			if c.ID != next {
				t.Fatalf("completion of request %d came instead of %d", c.ID, next)
			}
			next++
		}
	}
	if !bytes.Equal(source, target) {
		t.Error("the target's bytes are wrong")
	}
}

// A full queue takes what fits, says so, and takes the rest later.
func TestQueueFull(t *testing.T) {
	const size = 1 << 20
	e := newEndpoint(t, 4)
	source, target := anonymous(t, size), anonymous(t, size)
	from, to := register(t, e.pd, source), register(t, e.pd, target)
	batch := make([]Request, 64)
	for i := range batch {
		batch[i] = Request{ID: uint64(i), Signaled: true, Local: Slice{MR: from, Length: size}, RemoteAddr: to.Addr(), RKey: to.RKey()}
	}
	n, err := e.qp.PostAll(batch)
	if !errors.Is(err, ErrQueueFull) || n < 4 || n >= len(batch) {
		t.Fatalf("posted %d, %v; want some and ErrQueueFull", n, err)
	}
	await(t, e.cq, n)
	if m, err := e.qp.PostAll(batch[:1]); m != 1 || err != nil {
		t.Fatalf("after completion: posted %d, %v", m, err)
	}
	await(t, e.cq, 1)
}

func TestOnlySignaledRequestsComplete(t *testing.T) {
	const depth, every, total, size = 16, 8, 160, 256
	e := newEndpoint(t, depth)
	source, target := anonymous(t, total*size), anonymous(t, total*size)
	fill(source, 2)
	from, to := register(t, e.pd, source), register(t, e.pd, target)
	for n := 0; n < total; n += every {
		batch := make([]Request, every)
		for i := range batch {
			off := (n + i) * size
			batch[i] = Request{
				ID: uint64(n + i), Signaled: i == every-1,
				Local: Slice{MR: from, Offset: off, Length: size}, RemoteAddr: to.Addr() + uint64(off), RKey: to.RKey(),
			}
		}
		if _, err := e.qp.PostAll(batch); err != nil {
			t.Fatal(err)
		}
		if c := await(t, e.cq, 1)[0]; c.ID != uint64(n+every-1) {
			t.Fatalf("completion of request %d, want %d", c.ID, n+every-1)
		}
	}
	time.Sleep(20 * time.Millisecond)
	if n, err := e.cq.Poll(make([]Completion, 1)); n != 0 || err != nil {
		t.Errorf("%d completions too many, %v", n, err)
	}
	if !bytes.Equal(source, target) {
		t.Error("the target's bytes are wrong")
	}
}

func TestSeveralQueuePairsShareAQueue(t *testing.T) {
	const pairs, each, size = 5, 20, 3000
	e := newEndpoint(t, pairs*each)
	source, target := anonymous(t, pairs*each*size), anonymous(t, pairs*each*size)
	fill(source, 3)
	from, to := register(t, e.pd, source), register(t, e.pd, target)
	qps := []*QP{e.qp}
	for len(qps) < pairs {
		qp, _ := newPair(t, e, each)
		qps = append(qps, qp)
	}
	for i := range each {
		for q, qp := range qps {
			off := (i*pairs + q) * size
			err := qp.Post(Request{
				ID: uint64(q), Signaled: true,
				Local: Slice{MR: from, Offset: off, Length: size}, RemoteAddr: to.Addr() + uint64(off), RKey: to.RKey(),
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	counts := map[uint32]int{}
	for _, c := range await(t, e.cq, pairs*each) {
		counts[c.QPN]++
	}
	for _, qp := range qps {
		if counts[qp.Address().QPN] != each {
			t.Errorf("queue pair %d completed %d of %d", qp.Address().QPN, counts[qp.Address().QPN], each)
		}
	}
	if !bytes.Equal(source, target) {
		t.Error("the target's bytes are wrong")
	}
}

// A request outside of the remote region fails. The responder of 5.10 goes into
// the error state without a word, so there it is the retries that end.
func TestRemoteAccessError(t *testing.T) {
	e := newEndpoint(t, 4)
	source, target := anonymous(t, 8192), anonymous(t, 4096)
	from, to := register(t, e.pd, source), register(t, e.pd, target)
	w := Request{ID: 1, Signaled: true, Local: Slice{MR: from, Length: 8192}, RemoteAddr: to.Addr(), RKey: to.RKey()}
	if err := e.qp.Post(w); err != nil {
		t.Fatal(err)
	}
	var wc [1]Completion
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		n, err := e.cq.Poll(wc[:])
		if err != nil {
			t.Fatal(err)
		}
		if n == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no completion")
		}
	}
	var failed *CompletionError
	err := wc[0].Err()
	if !errors.As(err, &failed) {
		t.Fatalf("%v, want a CompletionError", err)
	}
	if s := failed.Completion.Status; s != StatusRemoteAccess && s != StatusRetryExceeded {
		t.Errorf("%v, want a remote access error or no answer", err)
	}
}

func TestPostAndWaitAllocateNothing(t *testing.T) {
	e := newEndpoint(t, 8)
	source, target := anonymous(t, 4096), anonymous(t, 4096)
	from, to := register(t, e.pd, source), register(t, e.pd, target)
	batch := []Request{{Signaled: true, Local: Slice{MR: from, Length: 64}, RemoteAddr: to.Addr(), RKey: to.RKey()}}
	wc := make([]Completion, 4)
	allocs := testing.AllocsPerRun(50, func() {
		if _, err := e.qp.PostAll(batch); err != nil {
			t.Fatal(err)
		}
		if _, err := e.cq.Wait(t.Context(), wc); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations for each post and poll", allocs)
	}
}
