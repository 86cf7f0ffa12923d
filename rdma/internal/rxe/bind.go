package rxe

import "umemstress/rdma/internal/uapi"

// Bind is a request that binds a memory window, of which the device tells when it is done.
type Bind struct {
	ID           uint64
	MRLKey       uint32
	MWRKey, RKey uint32 // as it is, and as it is to be
	Addr, Length uint64
	Access       uint32
}

// PutBind fills in the next free element; the caller has looked at Free.
func (q *SendQueue) PutBind(b *Bind) {
	wqe, _ := sendElement(q.put())
	*wqe = uapi.RxeSendWQE{SSN: q.ssn}
	*bindView(&wqe.WR) = uapi.RxeBindWR{
		WRID: b.ID, Opcode: uapi.WROpBindMW, SendFlags: uapi.SendSignaled,
		Addr: b.Addr, Length: b.Length, MRLKey: b.MRLKey, MWRKey: b.MWRKey, RKey: b.RKey, Access: b.Access,
	}
	q.ssn++
}
