package umem

import (
	"errors"
	"strings"
	"testing"

	"umemstress/rdma"
)

// A completion is of the flow whose queue pair sent it; one of another is an error that names
// the queue pair, and why it failed if it did.
func TestComplete(t *testing.T) {
	f := &flow{posted: 8, verb: verbNamed(VerbWrite)}
	h := &registration{bySender: map[uint32]*flow{17: f}}
	if err := h.complete(&rdma.Completion{QPN: 17, ID: 7}); err != nil || f.done() != 8 {
		t.Errorf("%v, %d done", err, f.done())
	}
	if err := h.complete(&rdma.Completion{QPN: 18, ID: 8}); !errors.Is(err, errUnasked) || !strings.Contains(err.Error(), "queue pair 18") {
		t.Error(err)
	}
	flushed := &rdma.Completion{QPN: 18, Status: rdma.StatusFlushed}
	if err := h.complete(flushed); !errors.Is(err, flushed.Err()) && !strings.Contains(err.Error(), flushed.Err().Error()) || errors.Is(err, errUnasked) {
		t.Error(err)
	}
	if f.done() != 8 {
		t.Errorf("another's completion counts: %d done", f.done())
	}
}

// A message has arrived when both sides say so.
func TestArrive(t *testing.T) {
	f := &flow{posted: 8, verb: verbNamed("send-imm")}
	h := &registration{bySender: map[uint32]*flow{17: f}, byReceiver: map[uint32]*flow{18: f}}
	if err := h.complete(&rdma.Completion{QPN: 17, ID: 7}); err != nil || f.done() != 0 {
		t.Errorf("%v, %d done of which nothing was received", err, f.done())
	}
	for id := range uint64(8) {
		if err := h.complete(&rdma.Completion{QPN: 18, ID: id, WithImm: true, Imm: immediate(id)}); err != nil || f.done() != id+1 {
			t.Errorf("%v, %d done", err, f.done())
		}
	}
	if err := h.complete(&rdma.Completion{QPN: 18, ID: 8, WithImm: true, Imm: immediate(7)}); err == nil {
		t.Error("an immediate of another message is taken for right")
	}
	cut := &rdma.Completion{QPN: 18, ID: 8, Status: rdma.StatusLocalLength}
	if err := h.complete(cut); err == nil || err.Error() != cut.Err().Error() {
		t.Error(err)
	}
}
