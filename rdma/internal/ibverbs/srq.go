package ibverbs

import (
	"errors"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

// srq is a shared receive queue with the memory that receives are posted from.
type srq struct {
	backend  *backend
	address  uintptr // of its struct ibv_srq
	receives *list[recvWR]
}

func (b *backend) CreateSRQ(init verbs.SRQInit) (verbs.SRQ, error) {
	domain := uintptr(init.PD)
	if !known(b, b.domains, domain) {
		return nil, unix.EINVAL
	}
	if b.context.PostSRQRecv == 0 {
		return nil, unix.EOPNOTSUPP
	}
	most := init.Limits()
	attr := srqInitAttr{MaxWR: init.MaxRecv, MaxSGE: uint32(most.SGEs)}
	var address uintptr
	var err error
	l := b.library
	lend(&attr, func(a uintptr) { address, err = l.create(l.createSRQ, domain, a) })
	if err != nil {
		return nil, err
	}
	if is := at[sharedQueue](address); is.Context != b.address || is.PD != domain || attr.MaxWR < init.MaxRecv || attr.MaxSGE < uint32(most.SGEs) {
		return nil, unix.EPROTO
	}
	q := &srq{backend: b, address: address}
	if q.receives, err = newList(address, attr.MaxWR, most, (*recvWR).links); err != nil {
		return nil, errors.Join(err, l.do(l.destroySRQ, address))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shared[q] = struct{}{}
	return q, nil
}

// sharedBy is this backend's own shared receive queue that a queue pair is to have; nil: it has its own receives.
func (b *backend) sharedBy(init verbs.QPInit) (*srq, error) {
	if init.SRQ == nil {
		return nil, nil
	}
	if ours, is := init.SRQ.(*srq); is && ours.backend == b {
		return ours, nil
	}
	return nil, unix.EINVAL
}

func (q *srq) PostReceives(wrs []verbs.ReceiveWR) (n int, err error) {
	return postAll(q.receives, q.backend.context.PostSRQRecv, wrs, putReceive)
}

func (q *srq) Destroy() error {
	b := q.backend
	err := ended(b, b.shared, q, b.library.do(b.library.destroySRQ, q.address))
	if errors.Is(err, unix.EBUSY) {
		return err
	}
	return errors.Join(err, q.receives.free())
}
