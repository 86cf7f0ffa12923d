package ibverbs

import (
	"errors"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

// qp is a queue pair with the memory that requests are posted from.
type qp struct {
	backend *backend
	address uintptr // of its struct ibv_qp
	number  uint32
	memory  *arena
	wrs     []sendWR   // each linked to the next and with a piece of memory of its own
	sges    []sge      // the same number
	end     int        // how many of them the list has
	bad     *uintptr   // where post_send says which request it did not take
	post    [3]uintptr // the arguments of post_send, kept: a call with them allocates nothing
}

func (b *backend) CreateQP(init verbs.QPInit) (verbs.QP, error) {
	if init.Type != verbs.RC && init.Type != verbs.UC {
		return nil, unix.EOPNOTSUPP
	}
	send, ours := init.SendCQ.(*cq)
	recv, oursToo := init.RecvCQ.(*cq)
	domain := uintptr(init.PD)
	if !ours || !oursToo || send.backend != b || recv.backend != b || !known(b, b.domains, domain) {
		return nil, unix.EINVAL
	}
	attr := qpInitAttr{
		SendCQ: send.address, RecvCQ: recv.address, QPType: uint32(init.Type),
		Cap: qpCap{MaxSendWR: init.MaxSend, MaxRecvWR: init.MaxRecv, MaxSendSGE: 1, MaxRecvSGE: 1},
	}
	var address uintptr
	var err error
	l := b.library
	lend(&attr, func(a uintptr) { address, err = l.make(l.createQP, domain, a) })
	if err != nil {
		return nil, err
	}
	is := at[queuePair](address)
	if is.Context != b.address || is.PD != domain || is.QPType != uint32(init.Type) || attr.Cap.MaxSendWR < init.MaxSend {
		return nil, unix.EPROTO
	}
	q := &qp{backend: b, address: address, number: is.QPNum}
	if err := q.makeRoom(max(2*attr.Cap.MaxSendWR, atOnce)); err != nil {
		return nil, errors.Join(err, l.do(l.destroyQP, address))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pairs[q] = struct{}{}
	return q, nil
}

// makeRoom makes memory for n requests: more than the queue was granted room for, because it may
// have more (rdma_rxe's is rounded up beyond what it grants).
func (q *qp) makeRoom(n uint32) (err error) {
	if q.memory, err = newArena(sizeOf[sendWR](n) + sizeOf[sge](n) + sizeOf[uintptr](1)); err != nil {
		return err
	}
	q.wrs, q.sges, q.bad = take[sendWR](q.memory, n), take[sge](q.memory, n), &take[uintptr](q.memory, 1)[0]
	for i := range q.wrs {
		q.wrs[i].SGList, q.wrs[i].NumSGE = addressOf(&q.sges[i]), 1
		if i > 0 {
			q.wrs[i-1].Next = addressOf(&q.wrs[i])
		}
	}
	q.end = len(q.wrs)
	q.post = [3]uintptr{q.address, addressOf(&q.wrs[0]), addressOf(q.bad)}
	return nil
}

func (q *qp) Number() uint32 { return q.number }

func (q *qp) Modify(attr verbs.QPAttr) error {
	request := modifyRequest(attr)
	l := q.backend.library
	var err error
	lend(&request, func(a uintptr) { err = l.do(l.modifyQP, q.address, a, uintptr(attr.Mask)) })
	return err
}

// modifyRequest fills in everything; the library looks at what the mask names.
func modifyRequest(attr verbs.QPAttr) qpAttr {
	return qpAttr{
		QPState:       uint32(attr.State),
		QPAccessFlags: uint32(attr.Access),
		PKeyIndex:     attr.PKeyIndex,
		PortNum:       attr.Port,
		AHAttr: ahAttr{
			DGID: attr.AH.DGID, SGIDIndex: attr.AH.SGIDIndex,
			IsGlobal: 1, HopLimit: attr.AH.HopLimit, PortNum: attr.AH.Port,
		},
		PathMTU:         uint32(attr.PathMTU),
		DestQPNum:       attr.DestQPN,
		RQPSN:           attr.RQPSN,
		SQPSN:           attr.SQPSN,
		Timeout:         attr.Timeout,
		RetryCnt:        attr.RetryCount,
		RNRRetry:        attr.RNRRetry,
		MinRNRTimer:     attr.MinRNRTimer,
		MaxRDAtomic:     attr.MaxRDAtomic,
		MaxDestRDAtomic: attr.MaxDestRDAtomic,
	}
}

// Post gives the requests to the provider in one list, which it makes known to the device at once.
// Only what there is no memory for goes in another.
func (q *qp) Post(wrs []verbs.WR) (n int, err error) {
	for n < len(wrs) {
		list := wrs[n:min(len(wrs), n+len(q.wrs))]
		posted, err := q.postList(list)
		n += posted
		if err != nil || posted < len(list) {
			return n, err
		}
	}
	return n, nil
}

// postList posts what there is memory for.
func (q *qp) postList(wrs []verbs.WR) (n int, err error) {
	for n < len(wrs) && err == nil {
		if err = wrs[n].Plain(); err == nil {
			q.put(n, &wrs[n])
			n++
		}
	}
	if n == 0 {
		return 0, err
	}
	posted, postErr := q.send(n)
	if postErr != nil || posted < n {
		return posted, postErr
	}
	return n, err
}

// send posts the first n requests and says how many of them the queue has taken. Where it is full,
// providers say ENOMEM.
func (q *qp) send(n int) (int, error) {
	*q.bad = 0
	q.endAt(n)
	status := int32(callC(q.backend.context.PostSend, q.post[:]...))
	if status == 0 {
		return n, nil
	}
	if *q.bad != 0 { // else it has taken all, and failed to tell the device
		n = int((*q.bad - addressOf(&q.wrs[0])) / sizeOf[sendWR](1))
	}
	if errno := statusErrno(status); errno != unix.ENOMEM {
		return n, errno
	}
	return n, nil
}

// endAt has the list end with its n-th request, and go on where it ended before.
func (q *qp) endAt(n int) {
	if before := q.end; before < len(q.wrs) {
		q.wrs[before-1].Next = addressOf(&q.wrs[before])
	}
	q.wrs[n-1].Next = 0
	q.end = n
}

func (q *qp) put(i int, wr *verbs.WR) {
	to := &q.wrs[i]
	to.WRID, to.Opcode, to.SendFlags = wr.ID, uint32(wr.Op), 0
	if wr.Signaled {
		to.SendFlags = sendSignaled
	}
	to.RemoteAddr, to.RKey = wr.Remote.Addr, wr.Remote.RKey
	q.sges[i] = sge{Addr: wr.SGEs[0].Addr, Length: wr.SGEs[0].Length, LKey: wr.SGEs[0].LKey}
}

func (q *qp) Destroy() error {
	b := q.backend
	err := ended(b, b.pairs, q, b.library.do(b.library.destroyQP, q.address))
	if errors.Is(err, unix.EBUSY) {
		return err
	}
	return errors.Join(err, q.memory.free())
}
