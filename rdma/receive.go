package rdma

import (
	"encoding/binary"
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
	for i := range rs {
		if err := qp.config.check(&rs[i].Local, rs[i].More); err != nil {
			return 0, &Error{Op: "post", Object: fmt.Sprintf("receive %d", rs[i].ID), reason: err}
		}
	}
	qp.mu.Lock()
	defer qp.mu.Unlock()
	if qp.pair == nil {
		return 0, closedError("post to", "queue pair")
	}
	qp.receiveRoom(len(rs))
	wrs := qp.receives[:len(rs)]
	for i := range rs {
		wrs[i].SGEs, wrs[i].ID = qp.config.fill(qp.receiveSGEs, i, &rs[i].Local, rs[i].More), rs[i].ID
	}
	n, err := qp.pair.PostReceives(wrs)
	if err != nil {
		return n, newPostError(qp.address, err)
	}
	if n < len(rs) {
		return n, ErrQueueFull
	}
	return n, nil
}

// receiveRoom makes room for n receives to be posted at once.
func (qp *QP) receiveRoom(n int) {
	if n <= len(qp.receives) {
		return
	}
	qp.receives, qp.receiveSGEs = make([]verbs.ReceiveWR, n), make([]verbs.SGE, n*qp.config.pieces())
}

// networkOrder turns an immediate's bytes around, there and back, where the processor has them the
// other way.
func networkOrder(imm uint32) uint32 {
	var bytes [4]byte
	binary.BigEndian.PutUint32(bytes[:], imm)
	return binary.NativeEndian.Uint32(bytes[:])
}
