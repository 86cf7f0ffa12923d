package rdma

import (
	"bytes"
	"errors"
	"testing"
)

// receiving is what a message between two queue pairs takes, and the memory of the region.
func receiving(t *testing.T) (pd *PD, cq *CQ, mr *MR, mem []byte) {
	t.Helper()
	_, c := newFake()
	mem = make([]byte, 4096)
	pd, err := c.AllocPD()
	if err != nil {
		t.Fatal(err)
	}
	if mr, err = pd.RegisterMR(mem, AccessLocalWrite); err != nil {
		t.Fatal(err)
	}
	if cq, err = c.CreateCQ(16); err != nil {
		t.Fatal(err)
	}
	return pd, cq, mr, mem
}

// Messages arrive where receives say, in their order, and what cannot be posted is refused.
func TestPostReceives(t *testing.T) {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	pd, cq, mr, mem := receiving(t)
	var pair [2]*QP
	for i := range pair {
		qp, err := pd.CreateQP(QPConfig{SendCQ: cq, MaxRecv: 2})
		must(err)
		pair[i] = qp
	}
	must(ConnectLoopback(pair[0], pair[1], somePath))
	copy(mem, "firstsecond")
	at := func(offset, length int) Slice { return Slice{MR: mr, Offset: offset, Length: length} }
	receives := []Receive{{ID: 11, Local: at(1024, 512)}, {ID: 12, Local: at(2048, 512)}, {ID: 13, Local: at(0, 1)}}
	if n, err := pair[1].PostReceives(receives); n != 2 || !errors.Is(err, ErrQueueFull) {
		t.Errorf("posted %d of 3 to a queue of 2, %v", n, err)
	}
	if n, err := pair[1].PostReceives([]Receive{{Local: at(4000, 97)}}); n != 0 || !errors.Is(err, errOutside) {
		t.Errorf("beyond the region: %d, %v", n, err)
	}
	const imm = 0x01020304
	sends := []Request{{ID: 1, Op: OpSend, Local: at(0, 5), Signaled: true}, {ID: 2, Op: OpSendImm, Imm: imm, Local: at(5, 6), Signaled: true}}
	if n, err := pair[0].PostAll(sends); n != 2 || err != nil {
		t.Errorf("sent %d, %v", n, err)
	}
	wc := make([]Completion, 8)
	n, err := cq.Poll(wc)
	must(err)
	lengths := map[uint64]uint32{}
	for _, c := range wc[:n] {
		if c.Err() != nil {
			t.Errorf("%+v", c)
		}
		lengths[c.ID] = c.ByteLen
		if has := c.ID == 12; c.WithImm != has || has && c.Imm != imm {
			t.Errorf("%+v", c)
		}
	}
	if n != 4 || lengths[11] != 5 || lengths[12] != 6 || !bytes.Equal(mem[1024:1029], []byte("first")) || !bytes.Equal(mem[2048:2054], []byte("second")) {
		t.Errorf("%+v", wc[:n])
	}
	must(pair[1].Close())
	if _, err := pair[1].PostReceives(receives[:1]); !errors.Is(err, ErrClosed) {
		t.Errorf("to a closed queue pair: %v", err)
	}
}
