package softroce

import (
	"errors"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/rxe"
	"umemstress/rdma/internal/uapi"
	"umemstress/rdma/internal/verbs"
)

// receives are the memory for messages of a queue pair, or of several that share it.
type receives struct {
	ring *rxe.RecvQueue
	most verbs.Limits
}

func newReceives(mem []byte, most verbs.Limits) (*receives, error) {
	ring, err := rxe.NewRecvQueue(mem, most)
	return &receives{ring, most}, err
}

// post needs no doorbell: the kernel looks when a message comes.
func (r *receives) post(wrs []verbs.ReceiveWR) (n int, err error) {
	room := min(r.ring.Free(), len(wrs))
	for n < room && err == nil {
		w := &wrs[n]
		if err = w.Plain(r.most); err == nil {
			r.ring.Put(&rxe.Receive{ID: w.ID, Pieces: w.SGEs})
			n++
		}
	}
	r.ring.Publish()
	return n, err
}

// srq is a shared receive queue with its mapping.
type srq struct {
	queue
	handle   uint32
	receives *receives
}

func (b *backend) CreateSRQ(init verbs.SRQInit) (verbs.SRQ, error) {
	most := init.Limits()
	resp, err := b.file.CreateRxeSRQ(uapi.CreateSRQ{PDHandle: uint32(init.PD), MaxWR: init.MaxRecv, MaxSGE: uint32(most.SGEs)})
	if err != nil {
		return nil, err
	}
	q := &srq{queue: queue{backend: b}, handle: resp.SRQHandle}
	if err = q.mmap(resp.Driver.MI); err == nil {
		q.receives, err = newReceives(q.mem, most)
	}
	if err != nil {
		return nil, errors.Join(err, q.Destroy())
	}
	return q, nil
}

// shared is this backend's own shared receive queue; nil of none.
func (b *backend) shared(q verbs.SRQ) (*srq, error) {
	if q == nil {
		return nil, nil
	}
	if ours, is := q.(*srq); is && ours.backend == b {
		return ours, nil
	}
	return nil, unix.EINVAL
}

func (q *srq) PostReceives(wrs []verbs.ReceiveWR) (int, error) { return q.receives.post(wrs) }

func (q *srq) Destroy() error {
	err := q.backend.file.DestroySRQ(q.handle)
	if errors.Is(err, unix.EBUSY) {
		return err // it lives on, and so must its mapping
	}
	return errors.Join(err, q.unmap())
}
