package softroce

import (
	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/rxe"
	"umemstress/rdma/internal/verbs"
)

func (b *backend) AllocMW(pd verbs.Handle, of verbs.MWType) (verbs.MW, error) {
	resp, err := b.file.AllocMW(uint32(pd), uint8(of))
	return verbs.MW{Handle: verbs.Handle(resp.MWHandle), Type: of, RKey: resp.RKey}, err
}

func (b *backend) DeallocMW(mw verbs.Handle) error { return b.file.DeallocMW(uint32(mw)) }

func (q *qp) BindMW(b verbs.Bind) (uint32, error) {
	if q.requests.Free() == 0 {
		return 0, unix.ENOMEM
	}
	key := verbs.NextKey(b.MW.RKey)
	q.requests.PutBind(&rxe.Bind{
		ID: b.ID, MRLKey: b.MR.LKey, MWRKey: b.MW.RKey, RKey: key, Addr: b.Addr, Length: b.Length, Access: uint32(b.Access),
	})
	q.requests.Publish()
	return key, q.doorbell.Ring()
}
