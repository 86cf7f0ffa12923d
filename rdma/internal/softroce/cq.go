package softroce

import (
	"errors"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/rxe"
	"umemstress/rdma/internal/uapi"
	"umemstress/rdma/internal/verbs"
)

// queue is the mapping of a queue.
type queue struct {
	backend *backend
	mem     []byte
}

func (q *queue) mmap(where uapi.MMInfo) (err error) {
	if q.mem, err = rxe.Map(q.backend.file.FD(), where); err != nil {
		return err
	}
	q.backend.mu.Lock()
	defer q.backend.mu.Unlock()
	q.backend.queues[q] = struct{}{}
	return nil
}

// unmap is for mappings that may never have been made.
func (q *queue) unmap() error {
	if q.mem == nil {
		return nil
	}
	q.backend.mu.Lock()
	delete(q.backend.queues, q)
	q.backend.mu.Unlock()
	return unix.Munmap(q.mem)
}

// cq is a completion queue with its mapping.
type cq struct {
	queue
	handle uint32
	ring   *rxe.CompletionQueue
}

func (b *backend) CreateCQ(entries uint32) (verbs.CQ, error) {
	resp, err := b.file.CreateRxeCQ(entries)
	if err != nil {
		return nil, err
	}
	q := &cq{queue: queue{backend: b}, handle: resp.CQHandle}
	if err = q.mmap(resp.Driver.MI); err == nil {
		q.ring, err = rxe.NewCompletionQueue(q.mem)
	}
	if err != nil {
		return nil, errors.Join(err, q.Destroy())
	}
	return q, nil
}

func (q *cq) Poll(wc []verbs.Completion) (int, error) {
	n := min(q.ring.Ready(), len(wc))
	for i := range n {
		from := q.ring.At(i)
		wc[i] = verbs.Completion{
			ID: from.WRID, Status: verbs.Status(from.Status), ByteLen: from.ByteLen,
			QPN: from.QPNum, VendorErr: from.VendorErr,
		}
		// rdma_rxe flags the sender's completion, too.
		if from.Opcode&uapi.WCRecv != 0 && from.WCFlags&uapi.WCWithImm != 0 {
			wc[i].WithImm, wc[i].Imm = true, from.ImmData
		}
	}
	if n > 0 {
		q.ring.Consume(n)
	}
	return n, nil
}

func (q *cq) Destroy() error {
	err := q.backend.file.DestroyCQ(q.handle)
	if errors.Is(err, unix.EBUSY) {
		return err // it lives on, and so must its mapping
	}
	return errors.Join(err, q.unmap())
}
