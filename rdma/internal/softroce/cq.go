package softroce

import (
	"errors"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/rxe"
	"umemstress/rdma/internal/uapi"
	"umemstress/rdma/internal/uverbs"
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
	handle  uint32
	ring    *rxe.CompletionQueue
	channel int            // uverbs.NoChannel: it has none
	arming  *uverbs.Arming // of one with a channel
}

func (b *backend) CreateCQ(entries uint32) (verbs.CQ, error) {
	q, err := b.createCQ(entries, uverbs.NoChannel)
	if err != nil {
		return nil, err
	}
	return q, nil
}

func (b *backend) CreateEventCQ(entries uint32) (verbs.EventCQ, error) {
	channel, err := b.file.CreateChannel()
	if err != nil {
		return nil, err
	}
	q, err := b.createCQ(entries, channel)
	if err != nil {
		return nil, errors.Join(err, unix.Close(channel))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.channels[channel] = struct{}{}
	q.channel, q.arming = channel, b.file.NewArming(q.handle)
	return q, nil
}

func (b *backend) createCQ(entries uint32, channel int) (*cq, error) {
	resp, err := b.file.CreateRxeCQ(entries, channel)
	if err != nil {
		return nil, err
	}
	q := &cq{queue: queue{backend: b}, handle: resp.CQHandle, channel: uverbs.NoChannel}
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
	return errors.Join(err, q.unmap(), q.closeChannel())
}

// closeChannel is for queues that may have none.
func (q *cq) closeChannel() error {
	if q.channel == uverbs.NoChannel {
		return nil
	}
	q.backend.mu.Lock()
	delete(q.backend.channels, q.channel)
	q.backend.mu.Unlock()
	err := unix.Close(q.channel)
	q.channel = uverbs.NoChannel
	return err
}

func (q *cq) EventFD() int { return q.channel }

func (q *cq) Arm() error {
	if err := uverbs.ForgetEvents(q.channel); err != nil {
		return err
	}
	return q.arming.Ask()
}
