package rdma

import (
	"cmp"
	"sync"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

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
