package ibverbs

import (
	"errors"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

// qp is a queue pair with the memory that requests and receives are posted from.
type qp struct {
	backend      *backend
	address      uintptr // of its struct ibv_qp
	number       uint32
	requests     *list[sendWR]
	receives     *list[recvWR]                                       // nil: they are shared with others
	byConnection bool                                                // see LeaveToConnection
	put          func(*sendWR, []sge, *verbs.WR, verbs.Limits) error // putRequest, made once: posting allocates nothing
}

func (b *backend) CreateQP(init verbs.QPInit) (verbs.QP, error) {
	if init.Type < verbs.RC || init.Type > verbs.UD {
		return nil, unix.EOPNOTSUPP
	}
	send, ours := init.SendCQ.(*cq)
	recv, oursToo := init.RecvCQ.(*cq)
	domain := uintptr(init.PD)
	if !ours || !oursToo || send.backend != b || recv.backend != b || !known(b, b.domains, domain) {
		return nil, unix.EINVAL
	}
	most := init.Limits()
	shared, err := b.sharedBy(init)
	if err != nil {
		return nil, err
	}
	attr := qpInitAttr{
		SendCQ: send.address, RecvCQ: recv.address, QPType: uint32(init.Type),
		Cap: qpCap{
			MaxSendWR: init.MaxSend, MaxRecvWR: init.MaxRecv,
			MaxSendSGE: uint32(most.SGEs), MaxRecvSGE: uint32(most.SGEs), MaxInlineData: init.MaxInline,
		},
	}
	if shared != nil {
		attr.SRQ, attr.Cap.MaxRecvWR, attr.Cap.MaxRecvSGE = shared.address, 0, 0
	}
	var address uintptr
	l := b.library
	lend(&attr, func(a uintptr) { address, err = l.create(l.createQP, domain, a) })
	if err != nil {
		return nil, err
	}
	is := at[queuePair](address)
	if is.Context != b.address || is.PD != domain || is.QPType != uint32(init.Type) || !attr.Cap.covers(init) {
		return nil, unix.EPROTO
	}
	q := &qp{backend: b, address: address, number: is.QPNum}
	q.put = q.putRequest
	if q.requests, err = newList(address, attr.Cap.MaxSendWR, most, (*sendWR).links); err == nil && shared == nil {
		q.receives, err = newList(address, attr.Cap.MaxRecvWR, most, (*recvWR).links)
	}
	if err != nil {
		return nil, errors.Join(err, l.do(l.destroyQP, address), q.requests.free())
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pairs[q] = struct{}{}
	return q, nil
}

func (q *qp) Number() uint32 { return q.number }

// state is the one that the queue pair was brought into at last, which the library keeps, unless a connection changes it.
func (q *qp) state() verbs.QPState {
	if q.byConnection {
		return verbs.ReadyToSend
	}
	return verbs.QPState(at[queuePair](q.address).State)
}

// LeaveToConnection says of a queue pair that its connection changes its state, as that of iWARP does within the kernel: the library
// goes on to keep the one before.
func LeaveToConnection(p verbs.QP) {
	if q, ours := p.(*qp); ours {
		q.byConnection = true
	}
}

func (q *qp) Modify(attr verbs.QPAttr) error {
	request := modifyRequest(attr)
	l := q.backend.library
	var err error
	lend(&request, func(a uintptr) { err = l.do(l.modifyQP, q.address, a, uintptr(attr.Mask)) })
	return err
}

// modifyRequest fills in everything; the library looks at what the mask names.
func modifyRequest(attr verbs.QPAttr) qpAttr {
	r := qpAttr{
		QPState:         uint32(attr.State),
		QPAccessFlags:   uint32(attr.Access),
		PKeyIndex:       attr.PKeyIndex,
		PortNum:         attr.Port,
		AHAttr:          ahAttrOf(attr.AH),
		QKey:            attr.QKey,
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
	return r
}

// Post gives the requests to the provider in one list, which it makes known to the device at once.
// Only what there is no memory for goes in another.
//
// Providers need not look at the state of the queue pair: mlx4's takes what is posted too early, and loses it without a word.
func (q *qp) Post(wrs []verbs.WR) (n int, err error) {
	if q.state() < verbs.ReadyToSend {
		return 0, unix.EINVAL
	}
	return postAll(q.requests, q.backend.context.PostSend, wrs, q.put)
}

// PostReceives gives the provider memory for messages in the same way.
func (q *qp) PostReceives(wrs []verbs.ReceiveWR) (n int, err error) {
	if q.receives == nil || q.state() < verbs.Init {
		return 0, unix.EINVAL
	}
	return postAll(q.receives, q.backend.context.PostRecv, wrs, putReceive)
}

func (q *qp) putRequest(to *sendWR, pieces []sge, wr *verbs.WR, most verbs.Limits) error {
	if err := wr.Plain(most); err != nil {
		return err
	}
	to.WRID, to.Opcode, to.SendFlags, to.ImmData = wr.ID, uint32(wr.Op), 0, wr.Imm
	if wr.Signaled {
		to.SendFlags |= sendSignaled
	}
	if wr.Inline {
		to.SendFlags |= sendInline
	}
	if wr.Op.Invalidates() {
		to.ImmData = wr.Invalidate
	}
	if wr.Op == verbs.OpLocalInv {
		q.backend.unbind(wr.Invalidate)
		to.NumSGE = 0
		return nil
	}
	if wr.To != nil {
		if !known(q.backend, q.backend.ways, uintptr(wr.To.AH)) { // the library would follow any address
			return unix.EINVAL
		}
		datagram := datagramView(to)
		datagram.AH, datagram.RemoteQPN, datagram.RemoteQKey = uintptr(wr.To.AH), wr.To.QPN, wr.To.QKey
		to.NumSGE = putPieces(pieces, wr.SGEs)
		return nil
	}
	to.RemoteAddr = wr.Remote.Addr
	if wr.Op.Atomic() {
		atomic := atomicView(to)
		atomic.CompareAdd, atomic.Swap, atomic.RKey = wr.CompareAdd, wr.Swap, wr.Remote.RKey
	} else {
		to.RKey = wr.Remote.RKey
	}
	to.NumSGE = putPieces(pieces, wr.SGEs)
	return nil
}

func putReceive(to *recvWR, pieces []sge, wr *verbs.ReceiveWR, most verbs.Limits) error {
	if err := wr.Plain(most); err != nil {
		return err
	}
	to.WRID, to.NumSGE = wr.ID, putPieces(pieces, wr.SGEs)
	return nil
}

func putPieces(to []sge, from []verbs.SGE) (n int32) {
	for i := range from {
		to[i] = sge{Addr: from[i].Addr, Length: from[i].Length, LKey: from[i].LKey}
	}
	return int32(len(from))
}

// covers says whether a queue pair has been granted what was asked for.
func (c *qpCap) covers(init verbs.QPInit) bool {
	pieces := uint32(init.Limits().SGEs)
	receives := init.SRQ != nil || c.MaxRecvWR >= init.MaxRecv && c.MaxRecvSGE >= pieces
	return receives && c.MaxSendWR >= init.MaxSend && c.MaxSendSGE >= pieces && c.MaxInlineData >= init.MaxInline
}

func (q *qp) Destroy() error {
	b := q.backend
	err := ended(b, b.pairs, q, b.library.do(b.library.destroyQP, q.address))
	if errors.Is(err, unix.EBUSY) {
		return err
	}
	return errors.Join(err, q.requests.free(), q.receives.free())
}
