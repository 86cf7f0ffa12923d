package rdma

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

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

// SRQConfig says what a shared receive queue is to be.
type SRQConfig struct {
	MaxRecv   int // receives; 0 is 1. A device may grant more.
	MaxPieces int // pieces of memory of one, at most; 0 is 1
}

// SRQ is a shared receive queue: memory for messages that come to any of the queue pairs that were made with it
// (QPConfig.SRQ).
type SRQ struct {
	object *object

	mu       sync.Mutex
	queue    verbs.SRQ // nil once destroyed
	receives receives
}

// CreateSRQ makes a shared receive queue.
func (pd *PD) CreateSRQ(cfg SRQConfig) (*SRQ, error) {
	const what = "shared receive queue"
	cfg.MaxRecv, cfg.MaxPieces = cmp.Or(cfg.MaxRecv, 1), cmp.Or(cfg.MaxPieces, 1)
	for _, most := range []struct {
		what    string
		n, upTo int
	}{{"MaxRecv", cfg.MaxRecv, maxRequests}, {"MaxPieces", cfg.MaxPieces, maxPieces}} {
		if most.n < 1 || most.n > most.upTo {
			return nil, &Error{Op: "create", Object: what, reason: limitError(most.what, most.n, 1, most.upTo)}
		}
	}
	srq := &SRQ{receives: receives{pieces: cfg.MaxPieces}}
	c := pd.object.ctx
	o, err := c.create(label{text: what}, pd.needs, srq.destroy, func() (err error) {
		srq.queue, err = c.backend.CreateSRQ(verbs.SRQInit{PD: pd.handle, MaxRecv: uint32(cfg.MaxRecv), MaxSGE: uint32(cfg.MaxPieces)})
		if err != nil {
			return newCreateSRQError(what, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	srq.object = o
	srq.receives.room(cfg.MaxRecv)
	return srq, nil
}

func newCreateSRQError(what string, err error) error {
	e := newError("create", what, err)
	switch e.Errno {
	case unix.EOPNOTSUPP, unix.ENOSYS:
		e.lacks, e.Remedy = true, "the device has none: leave it out"
	case unix.EINVAL, unix.ENOMEM:
		e.Remedy = "it may be for more receives, or for more pieces of memory of one, than the device allows"
	}
	return e
}

// PostReceives is as of a queue pair. Messages take the memory in its order, whichever of the queue pairs they come to;
// the completion is in the RecvCQ of that one, and has its number.
func (q *SRQ) PostReceives(rs []Receive) (int, error) {
	if err := checkReceives(rs, q.receives.pieces); err != nil {
		return 0, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.queue == nil {
		return 0, closedError("post to", "shared receive queue")
	}
	n, err := q.queue.PostReceives(q.receives.fill(rs))
	if err != nil {
		return n, newError("post to", "shared receive queue", err)
	}
	if n < len(rs) {
		return n, ErrQueueFull
	}
	return n, nil
}

// shared is what a backend calls it; nil of none. Who asks keeps it from ending.
func (q *SRQ) shared() verbs.SRQ {
	if q == nil {
		return nil
	}
	return q.queue
}

// Close removes the queue, once the queue pairs that share it are closed.
func (q *SRQ) Close() error { return q.object.close() }

func (q *SRQ) destroy() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	queue := q.queue
	q.queue = nil
	return queue.Destroy()
}

// networkOrder turns an immediate's bytes around, there and back, where the processor has them the
// other way.
func networkOrder(imm uint32) uint32 {
	var bytes [4]byte
	binary.BigEndian.PutUint32(bytes[:], imm)
	return binary.NativeEndian.Uint32(bytes[:])
}
