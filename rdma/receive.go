package rdma

import (
	"encoding/binary"
	"errors"
	"fmt"

	"umemstress/rdma/internal/verbs"
)

// Receive is memory for one message of the peer's (OpSend, OpSendImm), or stands for one OpWriteImm.
type Receive struct {
	ID    uint64 // comes back in the completion, with the message's length as ByteLen
	Local Slice
	More  []Slice // further pieces, for what is left
}

// PostReceives posts as many of the receives, from the first, as there is room for, and says how
// many it posted; if not all, the error says why, [ErrQueueFull] most often. Messages take them in
// their order, and each that is taken gives a completion in RecvCQ. Post them before the peer
// sends: rdma_rxe of 5.10 tries a message that finds none again without a pause. It allocates
// nothing unless it fails, or gets more receives than MaxRecv.
func (qp *QP) PostReceives(rs []Receive) (int, error) {
	if qp.config.SRQ != nil {
		return 0, &Error{Op: "post to", Object: fmt.Sprintf("queue pair %d", qp.address.QPN), reason: errors.New("it shares its receives: post them to its shared receive queue")}
	}
	if err := checkReceives(rs, qp.config.pieces()); err != nil {
		return 0, err
	}
	qp.mu.Lock()
	defer qp.mu.Unlock()
	if qp.pair == nil {
		return 0, closedError("post to", "queue pair")
	}
	n, err := qp.pair.PostReceives(qp.receives.fill(rs))
	if err != nil {
		return n, newPostError(qp.address, err)
	}
	if n < len(rs) {
		return n, ErrQueueFull
	}
	return n, nil
}

// checkReceives refuses memory that is none, or has more pieces than the queue was made for.
func checkReceives(rs []Receive, pieces int) error {
	for i := range rs {
		if err := checkPieces(&rs[i].Local, rs[i].More, pieces); err != nil {
			return &Error{Op: "post", Object: fmt.Sprintf("receive %d", rs[i].ID), reason: err}
		}
	}
	return nil
}

// receives are what PostReceives gives to a queue: requests, each of its own elements of sges, as many as pieces says.
type receives struct {
	wrs    []verbs.ReceiveWR
	sges   []verbs.SGE
	pieces int
}

// room makes room for n receives to be posted at once.
func (r *receives) room(n int) {
	if n > len(r.wrs) {
		r.wrs, r.sges = make([]verbs.ReceiveWR, n), make([]verbs.SGE, n*r.pieces)
	}
}

// fill makes requests of receives.
func (r *receives) fill(rs []Receive) []verbs.ReceiveWR {
	r.room(len(rs))
	wrs := r.wrs[:len(rs)]
	for i := range rs {
		wrs[i].SGEs, wrs[i].ID = fillPieces(r.sges, i, r.pieces, &rs[i].Local, rs[i].More), rs[i].ID
	}
	return wrs
}

// networkOrder turns an immediate's bytes around, there and back, where the processor has them the
// other way.
func networkOrder(imm uint32) uint32 {
	var bytes [4]byte
	binary.BigEndian.PutUint32(bytes[:], imm)
	return binary.NativeEndian.Uint32(bytes[:])
}
