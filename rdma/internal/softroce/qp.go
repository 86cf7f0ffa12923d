package softroce

import (
	"errors"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/rxe"
	"umemstress/rdma/internal/uapi"
	"umemstress/rdma/internal/uverbs"
	"umemstress/rdma/internal/verbs"
)

// qp is a queue pair with the mapping of its send queue. The receive queue is left
// unmapped: nothing posts to it.
type qp struct {
	queue
	handle   uint32
	qpn      uint32
	ring     *rxe.SendQueue
	doorbell *uverbs.Doorbell
}

func (b *backend) CreateQP(init verbs.QPInit) (verbs.QP, error) {
	if init.Type != verbs.RC && init.Type != verbs.UC {
		return nil, unix.EOPNOTSUPP
	}
	send, ours := init.SendCQ.(*cq)
	recv, oursToo := init.RecvCQ.(*cq)
	if !ours || !oursToo || send.backend != b || recv.backend != b {
		return nil, unix.EINVAL
	}
	resp, err := b.file.CreateRxeQP(uapi.CreateQP{
		PDHandle:     uint32(init.PD),
		SendCQHandle: send.handle,
		RecvCQHandle: recv.handle,
		MaxSendWR:    init.MaxSend,
		MaxRecvWR:    init.MaxRecv,
		MaxSendSGE:   1,
		MaxRecvSGE:   1,
		QPType:       uint8(init.Type),
	})
	if err != nil {
		return nil, err
	}
	q := &qp{queue: queue{backend: b}, handle: resp.QPHandle, qpn: resp.QPN, doorbell: b.file.NewDoorbell(resp.QPHandle)}
	if err = q.mmap(resp.Driver.SQMI); err == nil {
		q.ring, err = rxe.NewSendQueue(q.mem)
	}
	if err != nil {
		return nil, errors.Join(err, q.Destroy())
	}
	return q, nil
}

func (q *qp) Number() uint32 { return q.qpn }

func (q *qp) Modify(attr verbs.QPAttr) error {
	return q.backend.file.ModifyQP(modifyRequest(q.handle, attr))
}

// modifyRequest fills in everything; the kernel looks at what the mask names.
func modifyRequest(handle uint32, attr verbs.QPAttr) uapi.ModifyQP {
	return uapi.ModifyQP{
		QPHandle:      handle,
		AttrMask:      uint32(attr.Mask),
		QPState:       uint8(attr.State),
		QPAccessFlags: uint32(attr.Access),
		PkeyIndex:     attr.PKeyIndex,
		PortNum:       attr.Port,
		Dest: uapi.QPDest{
			DGID: attr.AH.DGID, SGIDIndex: attr.AH.SGIDIndex,
			IsGlobal: 1, HopLimit: attr.AH.HopLimit, PortNum: attr.AH.Port,
		},
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
}

func (q *qp) Post(wrs []verbs.WR) (n int, err error) {
	room := min(q.ring.Free(), len(wrs))
	for n < room && err == nil {
		if err = wrs[n].Plain(); err == nil {
			q.put(&wrs[n])
			n++
		}
	}
	if n == 0 {
		return 0, err
	}
	q.ring.Publish()
	return n, errors.Join(err, q.doorbell.Ring())
}

func (q *qp) put(wr *verbs.WR) {
	q.ring.Put(&rxe.Request{
		ID: wr.ID, Opcode: uint32(wr.Op), Signaled: wr.Signaled,
		Addr: wr.SGEs[0].Addr, Length: wr.SGEs[0].Length, LKey: wr.SGEs[0].LKey,
		RemoteAddr: wr.Remote.Addr, RKey: wr.Remote.RKey,
	})
}

func (q *qp) Destroy() error {
	return errors.Join(q.backend.file.DestroyQP(q.handle), q.unmap())
}
