package verbstest

import (
	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

// receives are memory for messages, of a queue pair or of several that share it.
type receives struct {
	waiting []received // and not taken by a message
	max     int
	most    verbs.Limits
}

// received is memory for a message, out of the caller's.
type received struct {
	id     uint64
	pieces pieces
}

func newReceives(n uint32, most verbs.Limits) receives {
	return receives{waiting: make([]received, 0, n), max: int(n), most: most}
}

// post is for who holds the device's lock.
func (r *receives) post(wrs []verbs.ReceiveWR) (n int, err error) {
	for n < len(wrs) && len(r.waiting) < r.max {
		if err = wrs[n].Plain(r.most); err != nil {
			break
		}
		r.waiting = append(r.waiting, received{wrs[n].ID, newPieces(wrs[n].SGEs)})
		n++
	}
	return n, err
}

type srq struct {
	receives
	device *Device
	pd     verbs.Handle
}

func (o *opened) CreateSRQ(init verbs.SRQInit) (verbs.SRQ, error) {
	d := o.device
	err := d.ask("CreateSRQ")
	defer d.mu.Unlock()
	if _, domain := d.pds[init.PD]; err == nil && (!domain || init.MaxRecv == 0 || init.MaxRecv > maxWork || init.MaxSGE > maxPieces) {
		err = unix.EINVAL
	}
	if err != nil {
		return nil, err
	}
	q := &srq{receives: newReceives(init.MaxRecv, init.Limits()), device: d, pd: init.PD}
	d.srqs[q] = 0
	d.pds[q.pd]++
	o.own = append(o.own, q.drop)
	return q, nil
}

// ours is one of this device; nil: it is not.
func (d *Device) ours(q verbs.SRQ) *srq {
	ours, is := q.(*srq)
	if _, alive := d.srqs[ours]; !is || !alive {
		return nil
	}
	return ours
}

func (q *srq) PostReceives(wrs []verbs.ReceiveWR) (n int, err error) {
	q.device.mu.Lock()
	defer q.device.mu.Unlock()
	if q.device.removed {
		return 0, unix.EIO
	}
	n, err = q.post(wrs)
	for _, other := range q.device.qps {
		other.run()
	}
	return n, err
}

func (q *srq) Destroy() error {
	d := q.device
	err := d.ask("DestroySRQ")
	defer d.mu.Unlock()
	users, there := d.srqs[q]
	if err := ending(err, users, there); err != nil {
		return err
	}
	q.drop()
	return nil
}

func (q *srq) drop() {
	if _, alive := q.device.srqs[q]; alive {
		q.device.pds[q.pd]--
		delete(q.device.srqs, q)
	}
}
