package rxe

import (
	"testing"

	"umemstress/rdma/internal/uapi"
	"umemstress/rdma/internal/verbs"
)

// The binding of a window takes its turn among the requests, and leaves nothing of what was in its element.
func TestSendQueueBinds(t *testing.T) {
	q, err := NewSendQueue(block(t, 4, sendElementSize), one)
	if err != nil {
		t.Fatal(err)
	}
	for i := range mem(q) {
		mem(q)[i] = 0xff
	}
	q.Put(&Request{ID: 1})
	b := Bind{ID: 2, MRLKey: 3, MWRKey: 0x4ff, RKey: verbs.NextKey(0x4ff), Addr: 5, Length: 6, Access: 7}
	q.PutBind(&b)
	q.Publish()
	wqe, _ := sendElement(q.element(1))
	want := uapi.RxeBindWR{
		WRID: 2, Opcode: uapi.WROpBindMW, SendFlags: uapi.SendSignaled,
		Addr: 5, Length: 6, MRLKey: 3, MWRKey: 0x4ff, RKey: 0x400, Access: 7,
	}
	if got := *bindView(&wqe.WR); got != want || wqe.SSN != 1 || wqe.State != 0 || wqe.DMA != (uapi.RxeDMAInfo{}) {
		t.Errorf("%+v, %+v", got, wqe)
	}
	if free := q.Free(); free != 1 {
		t.Errorf("%d free behind two requests", free)
	}
}
