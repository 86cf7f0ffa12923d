package rdma

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Messages to several queue pairs take the memory of one shared receive queue in its order; it lives for as long as one of
// them does, and what cannot be is refused.
func TestSRQ(t *testing.T) {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	pd, cq, mr, mem := receiving(t)
	for what, cfg := range map[string]SRQConfig{"MaxRecv -1": {MaxRecv: -1}, "MaxPieces 1025": {MaxPieces: maxPieces + 1}} {
		if _, err := pd.CreateSRQ(cfg); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	srq, err := pd.CreateSRQ(SRQConfig{MaxRecv: 2, MaxPieces: 2})
	must(err)
	var senders, receivers [2]*QP
	for i := range senders {
		senders[i], err = pd.CreateQP(QPConfig{SendCQ: cq})
		must(err)
		receivers[i], err = pd.CreateQP(QPConfig{SendCQ: cq, SRQ: srq})
		must(err)
		must(ConnectLoopback(senders[i], receivers[i], somePath))
	}
	copy(mem, "firstsecond")
	at := func(offset, length int) Slice { return Slice{MR: mr, Offset: offset, Length: length} }
	receives := []Receive{{ID: 11, Local: at(1024, 2), More: []Slice{at(1124, 100)}}, {ID: 12, Local: at(2048, 512)}, {ID: 13, Local: at(0, 1)}}
	if n, err := srq.PostReceives(receives); n != 2 || !errors.Is(err, ErrQueueFull) {
		t.Errorf("posted %d of 3 to a queue of 2, %v", n, err)
	}
	if n, err := srq.PostReceives([]Receive{{Local: at(0, 1), More: make([]Slice, 2)}}); n != 0 || err == nil {
		t.Errorf("three pieces: %d, %v", n, err)
	}
	if n, err := receivers[0].PostReceives(receives[:1]); n != 0 || err == nil || !strings.Contains(err.Error(), "shares its receives") {
		t.Errorf("to a queue pair that shares: %d, %v", n, err)
	}
	must(srq.Close()) // which its queue pairs keep
	must(senders[1].Post(Request{ID: 1, Op: OpSend, Local: at(0, 5)}))
	must(senders[0].Post(Request{ID: 2, Op: OpSend, Local: at(5, 6)}))
	wc := make([]Completion, 8)
	n, err := cq.Poll(wc)
	must(err)
	if n != 2 || wc[0].ID != 11 || wc[0].QPN != receivers[1].Address().QPN || wc[1].ID != 12 || wc[1].QPN != receivers[0].Address().QPN {
		t.Errorf("%+v", wc[:n])
	}
	if !bytes.Equal(mem[1024:1026], []byte("fi")) || !bytes.Equal(mem[1124:1127], []byte("rst")) || !bytes.Equal(mem[2048:2054], []byte("second")) {
		t.Error("the messages are elsewhere")
	}
	must(receivers[0].Close())
	must(receivers[1].Close())
	if _, err := srq.PostReceives(receives[:1]); !errors.Is(err, ErrClosed) {
		t.Errorf("to a closed queue: %v", err)
	}
}

func TestSRQRefused(t *testing.T) {
	for errno, lacks := range map[unix.Errno]bool{unix.EOPNOTSUPP: true, unix.EINVAL: false} {
		f, c := newFake()
		pd, err := c.AllocPD()
		if err != nil {
			t.Fatal(err)
		}
		f.fail["CreateSRQ"] = errno
		var e *Error
		if _, err := pd.CreateSRQ(SRQConfig{}); !errors.As(err, &e) || e.Errno != errno || e.HostLacks() != lacks || e.Remedy == "" {
			t.Errorf("%v: %v", errno, err)
		}
	}
	_, c := newFake()
	_, other := newFake()
	pd, err := c.AllocPD()
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := other.AllocPD()
	if err != nil {
		t.Fatal(err)
	}
	srq, err := theirs.CreateSRQ(SRQConfig{})
	if err != nil {
		t.Fatal(err)
	}
	cq, err := c.CreateCQ(1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pd.CreateQP(QPConfig{SendCQ: cq, SRQ: srq}); err == nil || !strings.Contains(err.Error(), "one of its queues is of another context") {
		t.Error(err)
	}
}
