package softroce

import (
	"errors"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/rxe"
	"umemstress/rdma/internal/uapi"
	"umemstress/rdma/internal/uverbs"
	"umemstress/rdma/internal/verbs"
)

// qp is a queue pair with the mappings of its queues.
type qp struct {
	backend    *backend
	handle     uint32
	qpn        uint32
	name       uint64 // in events
	most       verbs.Limits
	send, recv queue
	requests   *rxe.SendQueue
	receives   *receives // nil: they are shared with others
	doorbell   *uverbs.Doorbell
	state      verbs.QPState
}

func (b *backend) CreateQP(init verbs.QPInit) (verbs.QP, error) {
	if init.Type < verbs.RC || init.Type > verbs.UD {
		return nil, unix.EOPNOTSUPP
	}
	send, ours := init.SendCQ.(*cq)
	recv, oursToo := init.RecvCQ.(*cq)
	if !ours || !oursToo || send.backend != b || recv.backend != b {
		return nil, unix.EINVAL
	}
	shared, err := b.shared(init.SRQ)
	if err != nil {
		return nil, err
	}
	name, most := b.name(), init.Limits()
	request := uapi.CreateQP{
		UserHandle:    name,
		PDHandle:      uint32(init.PD),
		SendCQHandle:  send.handle,
		RecvCQHandle:  recv.handle,
		MaxSendWR:     init.MaxSend,
		MaxRecvWR:     init.MaxRecv,
		MaxSendSGE:    uint32(most.SGEs),
		MaxRecvSGE:    uint32(most.SGEs),
		MaxInlineData: init.MaxInline,
		QPType:        uint8(init.Type),
	}
	if shared != nil {
		request.IsSRQ, request.SRQHandle, request.MaxRecvWR = 1, shared.handle, 0
	}
	resp, err := b.file.CreateRxeQP(request)
	if err != nil {
		return nil, err
	}
	q := &qp{
		backend: b, handle: resp.QPHandle, qpn: resp.QPN, name: name, most: most, send: queue{backend: b}, recv: queue{backend: b},
		doorbell: b.file.NewDoorbell(resp.QPHandle),
	}
	b.called(name, resp.QPN)
	if err := q.mmap(resp.Driver, shared == nil); err != nil {
		return nil, errors.Join(err, q.Destroy())
	}
	return q, nil
}

// mmap maps the queues that it has of its own.
func (q *qp) mmap(where uapi.RxeCreateQPResp, receives bool) (err error) {
	if err := q.send.mmap(where.SQMI); err != nil {
		return err
	}
	if q.requests, err = rxe.NewSendQueue(q.send.mem, q.most); err != nil || !receives {
		return err
	}
	if err := q.recv.mmap(where.RQMI); err != nil {
		return err
	}
	q.receives, err = newReceives(q.recv.mem, q.most)
	return err
}

func (q *qp) Number() uint32 { return q.qpn }

func (q *qp) Modify(attr verbs.QPAttr) error {
	err := q.backend.file.ModifyQP(modifyRequest(q.handle, attr))
	if err == nil && attr.Mask&verbs.AttrState != 0 {
		q.state = attr.State
	}
	return err
}

// modifyRequest fills in everything; the kernel looks at what the mask names.
func modifyRequest(handle uint32, attr verbs.QPAttr) uapi.ModifyQP {
	r := uapi.ModifyQP{
		QPHandle:      handle,
		AttrMask:      uint32(attr.Mask),
		QPState:       uint8(attr.State),
		QPAccessFlags: uint32(attr.Access),
		PkeyIndex:     attr.PKeyIndex,
		PortNum:       attr.Port,
		Dest: uapi.QPDest{
			DLID: attr.AH.DLID, SL: attr.AH.SL, TrafficClass: attr.AH.TrafficClass, DGID: attr.AH.DGID, SGIDIndex: attr.AH.SGIDIndex,
			HopLimit: attr.AH.HopLimit, PortNum: attr.AH.Port,
		},
		Qkey:            attr.QKey,
		PathMTU:         uint8(attr.PathMTU),
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
	if attr.AH.Global {
		r.Dest.IsGlobal = 1
	}
	return r
}

func (q *qp) Post(wrs []verbs.WR) (n int, err error) {
	room := min(q.requests.Free(), len(wrs))
	for n < room && err == nil {
		if err = wrs[n].Plain(q.most); err == nil {
			err = q.put(&wrs[n])
		}
		if err == nil {
			n++
		}
	}
	if n == 0 {
		return 0, err
	}
	q.requests.Publish()
	return n, errors.Join(err, q.doorbell.Ring())
}

func (q *qp) put(wr *verbs.WR) error {
	r := rxe.Request{
		ID: wr.ID, Opcode: uint32(wr.Op), Imm: wr.Imm, Signaled: wr.Signaled,
		Pieces: wr.SGEs, Inline: wr.Inline,
		RemoteAddr: wr.Remote.Addr, RKey: wr.Remote.RKey, CompareAdd: wr.CompareAdd, Swap: wr.Swap,
	}
	if wr.Op.Invalidates() {
		r.Imm = wr.Invalidate
	}
	if wr.To != nil {
		if r.Way = q.backend.way(wr.To.AH); r.Way == nil {
			return unix.EINVAL
		}
		r.QPN, r.QKey = wr.To.QPN, wr.To.QKey
	}
	q.requests.Put(&r)
	return nil
}

// PostReceives needs no kernel, which would look at the state.
func (q *qp) PostReceives(wrs []verbs.ReceiveWR) (int, error) {
	if q.receives == nil || q.state < verbs.Init {
		return 0, unix.EINVAL
	}
	return q.receives.post(wrs)
}

func (q *qp) Destroy() error {
	q.backend.forget(q.name)
	return errors.Join(q.backend.file.DestroyQP(q.handle), q.send.unmap(), q.recv.unmap())
}
