package end

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"umemstress/rdma"
	"umemstress/workload/holder"
	"umemstress/workload/internal/memory"
	"umemstress/workload/latency"
)

// A completion is of the queue pair that it names; one of another is an error that names
// it, and why it failed if it did.
func TestComplete(t *testing.T) {
	p := &pair{posted: 8, verb: verbNamed(VerbWrite)}
	e := &End{byNumber: map[uint32]*pair{17: p}}
	if err := e.complete(&rdma.Completion{QPN: 17, ID: 7}); err != nil || p.sent != 8 {
		t.Errorf("%v, %d sent", err, p.sent)
	}
	if err := e.complete(&rdma.Completion{QPN: 18, ID: 8}); !errors.Is(err, errUnasked) || !strings.Contains(err.Error(), "queue pair 18") {
		t.Error(err)
	}
	flushed := &rdma.Completion{QPN: 18, Status: rdma.StatusFlushed}
	if err := e.complete(flushed); !errors.Is(err, flushed.Err()) && !strings.Contains(err.Error(), flushed.Err().Error()) || errors.Is(err, errUnasked) {
		t.Error(err)
	}
	if p.sent != 8 {
		t.Errorf("another's completion counts: %d sent", p.sent)
	}
}

// Receives have completions of their own on the same queue pair, with what was sent along.
func TestArrive(t *testing.T) {
	p := &pair{posted: 8, verb: verbNamed("send-imm"), inbox: newInbox(Config{Verb: "send-imm"}, nil, nil)}
	p.inbox.expected = 9
	e := &End{byNumber: map[uint32]*pair{17: p}}
	for id := range uint64(8) {
		if err := e.complete(&rdma.Completion{QPN: 17, ID: ofReceive | id, WithImm: true, Imm: immediate(id)}); err != nil || p.inbox.received != id+1 || p.sent != 0 {
			t.Errorf("%v, %d received, %d sent", err, p.inbox.received, p.sent)
		}
	}
	if err := e.complete(&rdma.Completion{QPN: 17, ID: ofReceive | 8, WithImm: true, Imm: immediate(7)}); err == nil {
		t.Error("an immediate of another message is taken for right")
	}
	cut := &rdma.Completion{QPN: 17, ID: ofReceive | 8, Status: rdma.StatusLocalLength}
	if err := e.complete(cut); err == nil || err.Error() != cut.Err().Error() {
		t.Error(err)
	}
}

// One end sends each message, and which one it is, both know alike.
func TestSends(t *testing.T) {
	for _, verb := range Verbs() {
		for _, back := range []bool{false, true} {
			source, target := Config{Side: Source, Verb: verb}.Sends(back), Config{Side: Target, Verb: verb}.Sends(back)
			if source == target {
				t.Errorf("%s, back %v: both ends say %v", verb, back, source)
			}
			if want := (verb == "read") == back; source != want {
				t.Errorf("%s, back %v: the source sends %v", verb, back, source)
			}
		}
	}
}

// What another host says its region is, is looked at before anything is sent there.
func TestRegionAt(t *testing.T) {
	r := Region{PieceBytes: 4096, Pieces: []Piece{{Addr: 1 << 20, RKey: 1}, {Addr: 1 << 30, RKey: 2}}}
	if addr, key, err := r.at(4096+512, 1024); err != nil || addr != 1<<30+512 || key != 2 {
		t.Error(addr, key, err)
	}
	for _, of := range []struct {
		offset int64
		length int
	}{{-1, 1}, {8192, 1}, {4000, 97}, {1 << 62, 1}} {
		if _, _, err := r.at(of.offset, of.length); err == nil {
			t.Errorf("%+v is there", of)
		}
	}
	if _, _, err := (Region{}).at(0, 1); err == nil {
		t.Error("a region without bytes has some")
	}
}

// What an end cannot do is refused before it begins.
func TestBegin(t *testing.T) {
	e := &End{config: Config{Side: Source}, mine: pieces{bytes: 8192, mrs: make([]*rdma.MR, 1)}}
	good := holder.Pass{Size: 4096, Target: 1 << 20, Source: 8192}
	if err := e.Begin(Region{}, good); err != nil {
		t.Error(err)
	}
	for _, bad := range []holder.Pass{
		{Size: 0, Target: 1, Source: 1}, {Size: 1, Target: 0, Source: 1}, {Size: 1, Target: 1, Source: 0},
		{Size: 1, Target: 1, Source: 1, Piece: -1}, {Size: 1, Target: 1, Source: 8193},
	} {
		if err := e.Begin(Region{}, bad); err == nil {
			t.Errorf("%+v is begun", bad)
		}
	}
	for _, bad := range []Order{{To: -1, Messages: 1}, {Messages: -1}} { // also more than can be received: there is no queue pair
		if _, err := e.Send(t.Context(), bad); err == nil {
			t.Errorf("%+v is sent", bad)
		}
		if err := e.Expect(bad); err == nil {
			t.Errorf("%+v is expected", bad)
		}
	}
}

// Each number is brought by changing what was brought before, and what an operation finds is held against that.
func TestLedger(t *testing.T) {
	for verb, swapped := range map[string]bool{"cas": true, "fadd": false} {
		mapped := func(numbers int) *memory.Region {
			r, err := memory.MapAnonymous(8 * numbers)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = r.Close() })
			return r
		}
		mine, there := mapped(2), mapped(4)
		l := &ledger{mine: mine.Bytes, theirs: mapped(4), results: mapped(16)}
		p := &pair{depth: 4, verb: verbNamed(verb)}
		p.keep(l, slots(4))
		for generation := range uint64(3) {
			binary.NativeEndian.PutUint64(mine.Bytes, ^generation<<17)
			binary.NativeEndian.PutUint64(mine.Bytes[8:], generation*0x0102030405060708)
			for m := range (holder.Pass{Size: 8, Target: 32, Source: 16}).Messages() {
				p.queue(m, rdma.Slice{}, 0, 0, false)
			}
			for i, r := range p.batch { // what a device does
				at := there.Bytes[8*i:]
				was := binary.NativeEndian.Uint64(at)
				switch {
				case r.Op == rdma.OpFetchAdd && !swapped:
					binary.NativeEndian.PutUint64(at, was+r.CompareAdd)
				case r.Op == rdma.OpCompareSwap && swapped && was == r.CompareAdd:
					binary.NativeEndian.PutUint64(at, r.Swap)
				default:
					t.Fatalf("%s: %+v finds %#x", verb, r, was)
				}
				if first := 8 * slots(4); r.Local.Offset < first || r.Local.Offset >= 2*first || r.Local.Length != 8 {
					t.Errorf("%s: the result of message %d goes to %+v", verb, i, r.Local)
				}
				binary.NativeEndian.PutUint64(l.results.Bytes[r.Local.Offset:], was)
			}
			p.posted, p.batch = p.posted+4, p.batch[:0]
			if err := p.complete(&rdma.Completion{ID: p.posted - 1}); err != nil || p.sent != p.posted {
				t.Errorf("%s: %v, %d of %d sent", verb, err, p.sent, p.posted)
			}
			if want := append(bytes.Clone(mine.Bytes), mine.Bytes...); !bytes.Equal(there.Bytes, want) {
				t.Errorf("%s: other numbers than were sent", verb)
			}
		}
		for m := range (holder.Pass{Size: 8, Target: 32, Source: 16}).Messages() {
			p.queue(m, rdma.Slice{}, 0, 0, false)
		}
		for i, r := range p.batch {
			copy(l.results.Bytes[r.Local.Offset:], there.Bytes[8*i:][:8])
		}
		l.results.Bytes[p.batch[2].Local.Offset] ^= 1
		p.posted += 4
		if err := p.complete(&rdma.Completion{ID: p.posted - 1}); err == nil || !strings.Contains(err.Error(), "at byte 16 of the file's region") {
			t.Errorf("%s: somebody else wrote there, and nobody noticed: %v", verb, err)
		}
	}
}

// Batches are timed from their post to their completion, each once.
func TestTime(t *testing.T) {
	p := &pair{posted: 6, verb: verbNamed(VerbWrite), took: latency.New()}
	for _, ago := range []time.Duration{time.Hour / 2, time.Minute, time.Second} {
		p.since = append(p.since, time.Now().Add(-ago))
	}
	for id := range uint64(2) {
		if err := p.complete(&rdma.Completion{ID: 2*id + 1}); err != nil {
			t.Error(err)
		}
	}
	if s := p.took.Summary(); s.Completions != 2 || math.Abs(s.Max-1800e6) > 30e6 || math.Abs(s.Min-60e6) > 5e6 || len(p.since) != 1 {
		t.Errorf("%+v, and %d under way", s, len(p.since))
	}
	if err := p.complete(&rdma.Completion{ID: 5, Status: rdma.StatusFlushed}); err == nil || p.took.Summary().Completions != 2 {
		t.Errorf("what failed is timed, %v", err)
	}
	if err := p.complete(&rdma.Completion{ID: 6}); !errors.Is(err, errUnasked) {
		t.Errorf("a completion of what was not posted: %v", err)
	}
}

// The batch that is filled while the queue is full takes no result of what is under way.
func TestSlots(t *testing.T) {
	for _, depth := range []int{1, 2, 3, 128} {
		r, err := memory.MapAnonymous(8 * slots(depth))
		if err != nil {
			t.Fatal(err)
		}
		p := &pair{depth: depth, verb: verbNamed("fadd")}
		p.keep(&ledger{mine: r.Bytes, theirs: r, results: r}, 0)
		for first := range uint64(2 * depth) {
			p.posted, p.batch = first, p.batch[:0]
			taken := map[int]bool{}
			for range depth + batchLength(depth) {
				p.queue(holder.Message{Length: 8}, rdma.Slice{}, 0, 0, false)
				taken[p.batch[len(p.batch)-1].Local.Offset] = true
			}
			if len(taken) != slots(depth) {
				t.Errorf("depth %d, from %d on: %d results of %d", depth, first, len(taken), slots(depth))
			}
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A message's pieces are all of its bytes, each once and in order; none is empty but of a message that is.
func TestDivide(t *testing.T) {
	var more []rdma.Slice
	for _, of := range []struct{ length, n, want int }{{64, 1, 1}, {64, 3, 3}, {5, 5, 5}, {3, 8, 3}, {1, 2, 1}, {0, 4, 1}, {65537, 32, 32}, {7, 0, 1}} {
		whole := rdma.Slice{Offset: 100, Length: of.length}
		first, rest := divide(whole, of.n, more)
		at := 100
		for i, piece := range append([]rdma.Slice{first}, rest...) {
			if piece.Offset != at || piece.Length == 0 && of.length > 0 {
				t.Errorf("%+v: piece %d is %+v, and not at %d", of, i, piece, at)
			}
			at += piece.Length
		}
		if at != 100+of.length || 1+len(rest) != of.want {
			t.Errorf("%+v: %d pieces, %d bytes", of, 1+len(rest), at-100)
		}
		more = rest
	}
}

// What is sent is no faster than the limit, whether a message is a part of what may go at once or many times that,
// and not much slower.
func TestPace(t *testing.T) {
	const limit, total = 4 << 20, 2 << 20
	for _, bytes := range []int{1024, 64 << 10, 1 << 20} {
		e := &End{pace: newPace(limit)}
		began := time.Now()
		for range total / bytes {
			if err := e.keepPace(t.Context(), bytes); err != nil {
				t.Fatal(err)
			}
		}
		least := (total - float64(limit)*burstTime.Seconds()) / limit
		if took := time.Since(began).Seconds(); took < 0.98*least || took > 20*least {
			t.Errorf("messages of %d bytes: %.3f s, want %.3f", bytes, took, least)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := (&End{pace: newPace(1)}).keepPace(ctx, 100); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	if err := (&End{pace: newPace(0)}).keepPace(ctx, 1<<30); err != nil {
		t.Errorf("without a limit: %v", err)
	}
}
