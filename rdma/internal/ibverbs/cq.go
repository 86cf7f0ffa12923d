package ibverbs

import (
	"errors"
	"math"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

// atOnce is how many completions are taken with one call, and requests given at least.
const atOnce = 64

// cq is a completion queue with the memory that completions are taken into.
type cq struct {
	backend *backend
	address uintptr // of its struct ibv_cq
	memory  *arena
	taken   []workCompletion
	poll    [3]uintptr // the arguments of poll_cq, kept: a call with them allocates nothing
	channel uintptr    // of its struct ibv_comp_channel; 0: it has none
}

func (b *backend) CreateCQ(entries uint32) (verbs.CQ, error) {
	q, err := b.createCQ(entries, 0)
	if err != nil {
		return nil, err
	}
	return q, nil
}

func (b *backend) createCQ(entries uint32, channel uintptr) (*cq, error) {
	if entries == 0 || entries > math.MaxInt32 {
		return nil, unix.EINVAL
	}
	const noContext, firstVector = 0, 0
	l := b.library
	address, err := l.create(l.createCQ, b.address, uintptr(entries), noContext, channel, firstVector)
	if err != nil {
		return nil, err
	}
	is := at[completionQueue](address)
	if is.Context != b.address || is.CQE < int32(entries) {
		return nil, unix.EPROTO
	}
	memory, err := newArena(sizeOf[workCompletion](atOnce))
	if err != nil {
		return nil, errors.Join(err, l.do(l.destroyCQ, address))
	}
	q := &cq{backend: b, address: address, memory: memory, taken: take[workCompletion](memory, atOnce)}
	q.poll = [3]uintptr{address, 0, addressOf(&q.taken[0])}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queues[q] = struct{}{}
	return q, nil
}

func (q *cq) Poll(wc []verbs.Completion) (n int, err error) {
	for n < len(wc) {
		want := min(len(wc)-n, len(q.taken))
		q.poll[1] = uintptr(want)
		got := int(int32(callC(q.backend.context.PollCQ, q.poll[:]...)))
		if got < 0 || got > want {
			return n, unix.EPROTO // providers have no errnos for it
		}
		for i := range got {
			wc[n+i] = completionOf(&q.taken[i])
		}
		if n += got; got < want {
			break
		}
	}
	return n, nil
}

// completionOf takes of a completion what means something.
func completionOf(from *workCompletion) verbs.Completion {
	c := verbs.Completion{ID: from.WRID, Status: verbs.Status(from.Status), QPN: from.QPNum}
	if c.Status != verbs.StatusSuccess { // else providers leave there what was there before
		c.VendorErr = from.VendorErr
	}
	if c.Status == verbs.StatusSuccess && (from.Opcode == wcRDMARead || from.Opcode&wcRecv != 0) {
		c.ByteLen = from.ByteLen
	}
	if c.Status == verbs.StatusSuccess && from.Opcode&wcRecv != 0 && from.WCFlags&wcWithImm != 0 {
		c.WithImm, c.Imm = true, from.ImmData
	}
	return c
}

func (q *cq) Destroy() error {
	b := q.backend
	err := ended(b, b.queues, q, b.library.do(b.library.destroyCQ, q.address))
	if errors.Is(err, unix.EBUSY) {
		return err
	}
	if q.channel != 0 {
		err = errors.Join(err, b.library.do(b.library.destroyChannel, q.channel))
	}
	return errors.Join(err, q.memory.free())
}
