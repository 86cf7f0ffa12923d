package end

import (
	"strings"
	"testing"

	"umemstress/rdma"
	"umemstress/workload/holder"
	"umemstress/workload/internal/fault"
)

// What an unreliable connection has dropped shows in the immediate of what comes next, and is no result of the run;
// any other immediate than that is a mistake of somebody's.
func TestDropped(t *testing.T) {
	for _, connection := range Connections() {
		b := newInbox(Config{Connection: connection, Verb: "send-imm"}, nil, nil)
		b.expected = 9
		take := func(id, message uint64) error {
			return b.take(&rdma.Completion{QPN: 17, ID: ofReceive | id, WithImm: true, Imm: immediate(message)})
		}
		if err := take(0, 0); err != nil || b.missing() != 8 {
			t.Errorf("%s: %v, %d missing", connection, err, b.missing())
		}
		err := take(1, 4)
		if dropped := fault.IsIneffective(err); err == nil || dropped != !Reliable(connection) || dropped != strings.Contains(err.Error(), "3 messages, or more, were dropped") {
			t.Errorf("%s: three messages are missing: %v", connection, err)
		}
		for _, message := range []uint64{0, 1 << 31} { // one that was here, one that nobody expects
			if err := take(1, message); err == nil || fault.IsIneffective(err) {
				t.Errorf("%s: message %d in place of 1: %v", connection, message, err)
			}
		}
	}
}

// Of a write that nobody acknowledges, the last one of each queue pair takes a receive, which both ends know alike: the
// number of pairs is no divisor of that of the messages, which the pass may end.
func TestTakesReceive(t *testing.T) {
	for verb, want := range map[string]map[string]string{
		"RC": {VerbWrite: ".......", "send": "xxxxxxx"}, "UC": {VerbWrite: "....xxx", "write-imm": "xxxxxxx"},
	} {
		for name, want := range want {
			c := Config{Connection: verb, Verb: name}
			e := &End{config: c, verb: verbNamed(name), pairs: make([]*pair, 3), pass: holder.Pass{Size: 4096, Target: 7 * 4096, Source: 4096}}
			n, got := e.count(Order{Messages: 100}), ""
			for i := range e.pass.Count() {
				got += map[bool]string{true: "x", false: "."}[e.takesReceive(i, n)]
			}
			if got != want {
				t.Errorf("%s %s: %s, want %s", verb, name, got, want)
			}
			if short := e.count(Order{To: 4096, Messages: 2}); short != 2 {
				t.Errorf("an order of 2 messages has %d", short)
			}
		}
	}
}

// Messages that take receives in common go through one queue pair until the next order, and both ends choose the same; others
// through all in turn.
func TestPairOfMessage(t *testing.T) {
	for srq, want := range map[bool]string{false: "1201201", true: "2222222"} {
		e := &End{config: Config{SRQ: srq, QueuePairs: 3}, pairs: []*pair{{depth: 0}, {depth: 1}, {depth: 2}}}
		got := ""
		for n := range 7 {
			got += string(rune('0' + e.pair(Order{First: 4, Turn: 5}, n).depth))
		}
		if got != want {
			t.Errorf("receives in common %v: through %s, want %s", srq, got, want)
		}
	}
	if one, each := (Config{SRQ: true, QueuePairs: 3}).MostReceives(), (Config{QueuePairs: 3}).MostReceives(); one != receiveDepth || each != 3*receiveDepth {
		t.Errorf("%d and %d messages can be expected", one, each)
	}
}

// A batch has the immediates that the other end looks for, and a plain write that takes a receive has one.
func TestAnnounced(t *testing.T) {
	p := &pair{verb: verbNamed(VerbWrite), depth: 8, batch: make([]rdma.Request, 0, 8), inbox: newInbox(Config{Connection: "UC"}, nil, nil)}
	for i := range 4 {
		p.queue(holder.Message{Length: 8}, rdma.Slice{}, 0, 0, i%2 == 1)
	}
	for i, want := range []rdma.Request{{Op: rdma.OpWrite}, {Op: rdma.OpWriteImm, Imm: immediate(0)}, {Op: rdma.OpWrite}, {Op: rdma.OpWriteImm, Imm: immediate(1)}} {
		if got := p.batch[i]; got.Op != want.Op || got.Imm != want.Imm {
			t.Errorf("message %d: operation %d with %#x, want %d with %#x", i, got.Op, got.Imm, want.Op, want.Imm)
		}
	}
}

// The header of a datagram goes elsewhere, in front of all pieces of the region, also where the memory of an earlier receive
// is used again; a message that does not fit in a packet is refused before it is sent.
func TestDatagramReceives(t *testing.T) {
	c := Config{Connection: "UD", Verb: "send", Pieces: 3}
	h := &headers{mr: &rdma.MR{}}
	posted := 0
	b := newInbox(c, h, func(rs []rdma.Receive) (int, error) {
		for _, r := range rs {
			posted++
			if r.Local.MR != h.mr || r.Local.Length != rdma.GRHBytes || 1+len(r.More) != c.receivePieces() {
				t.Errorf("receive %d: %+v", r.ID, r)
			}
			at := 8
			for _, piece := range r.More {
				if piece.MR != nil || piece.Offset != at {
					t.Errorf("receive %d: a piece at %d, want %d", r.ID, piece.Offset, at)
				}
				at += piece.Length
			}
			if at != 108 {
				t.Errorf("receive %d has %d bytes", r.ID, at-8)
			}
		}
		return len(rs), nil
	})
	for range 2 {
		for range 2 {
			b.expect(rdma.Slice{Offset: 8, Length: 100})
		}
		if err := b.ready(); err != nil {
			t.Fatal(err)
		}
	}
	if posted != 4 {
		t.Errorf("%d receives", posted)
	}
	e := &End{config: c, mtu: 1024, mine: pieces{bytes: 8192, mrs: make([]*rdma.MR, 1)}}
	if err := e.Begin(Region{}, holder.Pass{Size: 1024, Target: 8192, Source: 8192}); err != nil {
		t.Error(err)
	}
	if err := e.Begin(Region{}, holder.Pass{Size: 1025, Target: 8192, Source: 8192}); err == nil || !strings.Contains(err.Error(), "give --size 1024") {
		t.Error(err)
	}
}
