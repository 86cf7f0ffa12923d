package end

import (
	"errors"
	"strings"
	"testing"

	"umemstress/rdma"
	"umemstress/workload/holder"
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
	p := &pair{posted: 8, expected: 9, verb: verbNamed("send-imm")}
	e := &End{byNumber: map[uint32]*pair{17: p}}
	for id := range uint64(8) {
		if err := e.complete(&rdma.Completion{QPN: 17, ID: ofReceive | id, WithImm: true, Imm: immediate(id)}); err != nil || p.received != id+1 || p.sent != 0 {
			t.Errorf("%v, %d received, %d sent", err, p.received, p.sent)
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
