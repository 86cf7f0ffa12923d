package verbstest

import (
	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

// maxWork is the most entries and requests that a queue of a [Device] has.
const maxWork = 1 << 15

type cq struct {
	device  *Device
	room    int
	waiting []verbs.Completion
	event   int  // an eventfd; -1: it has no channel
	armed   bool // the next completion is to give an event
}

func (o *opened) CreateCQ(entries uint32) (verbs.CQ, error) {
	q, err := o.createCQ(entries)
	if err != nil {
		return nil, err
	}
	return q, nil
}

func (o *opened) createCQ(entries uint32) (*cq, error) {
	d := o.device
	err := d.ask("CreateCQ")
	defer d.mu.Unlock()
	if err == nil && (entries == 0 || entries > maxWork) {
		err = unix.EINVAL
	}
	if err != nil {
		return nil, err
	}
	q := &cq{device: d, room: int(entries), event: -1}
	d.cqs[q] = 0
	o.own = append(o.own, q.drop)
	return q, nil
}

func (q *cq) Poll(wc []verbs.Completion) (int, error) {
	q.device.mu.Lock()
	defer q.device.mu.Unlock()
	n := copy(wc, q.waiting)
	q.waiting = append(q.waiting[:0], q.waiting[n:]...)
	return n, nil
}

func (q *cq) Destroy() error {
	err := q.device.ask("DestroyCQ")
	defer q.device.mu.Unlock()
	users, there := q.device.cqs[q]
	if err := ending(err, users, there); err != nil {
		return err
	}
	q.drop()
	return nil
}

type qp struct {
	device     *Device
	qpn        uint32
	pd         verbs.Handle
	send, recv *cq
	max        int
	most       verbs.Limits
	state      verbs.QPState
	dest       uint32
	key        uint32   // of datagrams
	queue      []posted // and not carried out
	own        receives
	receives   *receives // its own, or those that it shares
	shared     *srq      // whose they are
}

// posted is a request with its pieces of memory and its way, out of the caller's.
type posted struct {
	to     verbs.Datagram
	wr     verbs.WR
	pieces pieces
	inline []byte // what it carries
}

func (o *opened) CreateQP(init verbs.QPInit) (verbs.QP, error) {
	d := o.device
	err := d.ask("CreateQP")
	defer d.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if init.Type < verbs.RC || init.Type > verbs.UD {
		return nil, unix.EOPNOTSUPP
	}
	send, ours := init.SendCQ.(*cq)
	recv, oursToo := init.RecvCQ.(*cq)
	_, domain := d.pds[init.PD]
	if !ours || !oursToo || send.device != d || recv.device != d || !domain || init.MaxSend > maxWork || init.MaxRecv > maxWork || init.MaxSGE > maxPieces || init.MaxInline > maxInline {
		return nil, unix.EINVAL
	}
	q := &qp{device: d, qpn: d.number(), pd: init.PD, send: send, recv: recv, max: int(init.MaxSend), most: init.Limits()}
	q.queue = make([]posted, 0, q.max)
	if q.receives = &q.own; init.SRQ == nil {
		q.own = newReceives(init.MaxRecv, q.most)
	} else if q.shared = d.ours(init.SRQ); q.shared == nil {
		return nil, unix.EINVAL
	} else {
		q.receives = &q.shared.receives
		d.srqs[q.shared]++
	}
	d.qps[q.qpn] = q
	d.pds[q.pd]++
	d.cqs[q.send]++
	d.cqs[q.recv]++
	o.own = append(o.own, q.drop)
	return q, nil
}

func (q *qp) Number() uint32 { return q.qpn }

func (q *qp) Modify(attr verbs.QPAttr) error {
	err := q.device.ask("ModifyQP")
	defer q.device.mu.Unlock()
	if err != nil {
		return err
	}
	if attr.Mask&verbs.AttrState == 0 || attr.State != verbs.ErrorState && attr.State != q.state+1 {
		return unix.EINVAL
	}
	q.state = attr.State
	if q.state == verbs.ErrorState {
		q.fail()
	}
	if attr.Mask&verbs.AttrDestQPN != 0 {
		q.dest = attr.DestQPN
	}
	if attr.Mask&verbs.AttrQKey != 0 {
		q.key = attr.QKey
	}
	for _, other := range q.device.qps {
		other.run()
	}
	return nil
}

func (q *qp) Post(wrs []verbs.WR) (n int, err error) {
	q.device.mu.Lock()
	defer q.device.mu.Unlock()
	if q.device.removed {
		return 0, unix.EIO
	}
	if q.state < verbs.ReadyToSend {
		return 0, unix.EINVAL
	}
	for n < len(wrs) && len(q.queue) < q.max {
		if err = wrs[n].Plain(q.most); err == nil && wrs[n].To != nil && !q.device.ahs[wrs[n].To.AH] {
			err = unix.EINVAL
		}
		if err != nil {
			break
		}
		q.queue = append(q.queue, newPosted(&wrs[n]))
		n++
	}
	q.run()
	return n, err
}

func (q *qp) PostReceives(wrs []verbs.ReceiveWR) (n int, err error) {
	q.device.mu.Lock()
	defer q.device.mu.Unlock()
	if q.device.removed {
		return 0, unix.EIO
	}
	if q.shared != nil || q.state < verbs.Init {
		return 0, unix.EINVAL
	}
	n, err = q.own.post(wrs)
	if q.state == verbs.ErrorState {
		q.fail()
	}
	for _, other := range q.device.qps {
		other.run()
	}
	return n, err
}

// fail puts a queue pair into the error state, and flushes the memory for messages that is its own.
func (q *qp) fail() {
	q.state = verbs.ErrorState
	for len(q.own.waiting) > 0 {
		q.receive(verbs.Completion{Status: verbs.StatusFlushed})
	}
}

// receive completes the memory that was queued first.
func (q *qp) receive(c verbs.Completion) {
	c.ID, c.QPN = q.receives.waiting[0].id, q.qpn
	q.recv.add(c)
	q.receives.waiting = append(q.receives.waiting[:0], q.receives.waiting[1:]...)
}

// received is the completion of what a request brought.
func receivedOf(wr *verbs.WR, bytes uint32) verbs.Completion {
	c := verbs.Completion{ByteLen: bytes}
	if wr.Op == verbs.OpWriteImm || wr.Op == verbs.OpSendImm {
		c.WithImm, c.Imm = true, wr.Imm
	}
	return c
}

// takesReceive tells whether a request completes memory of its peer.
func takesReceive(op verbs.Op) bool {
	return op != verbs.OpWrite && op != verbs.OpRead && !op.Atomic() && op != verbs.OpLocalInv
}

func (q *qp) Destroy() error {
	d := q.device
	err := d.ask("DestroyQP")
	defer d.mu.Unlock()
	if err == nil && d.qps[q.qpn] == nil {
		err = unix.EINVAL
	}
	if err == nil {
		q.drop()
	}
	return err
}

func (q *qp) drop() {
	d := q.device
	if d.qps[q.qpn] == nil {
		return
	}
	delete(d.qps, q.qpn)
	d.pds[q.pd]--
	d.cqs[q.send]--
	d.cqs[q.recv]--
	if q.shared != nil {
		d.srqs[q.shared]--
	}
}

func (o *opened) CreateEventCQ(entries uint32) (verbs.EventCQ, error) {
	q, err := o.createCQ(entries)
	if err == nil {
		q.event, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	}
	if err != nil {
		return nil, err
	}
	return q, nil
}

func (q *cq) EventFD() int { return q.event }

func (q *cq) Arm() error {
	q.device.mu.Lock()
	defer q.device.mu.Unlock()
	if q.device.removed {
		return unix.EIO
	}
	var count [8]byte
	_, _ = unix.Read(q.event, count[:]) // EAGAIN where there is no event
	q.armed = true
	return nil
}

// add is of a completion that has come. One that finds no room is lost.
func (q *cq) add(c verbs.Completion) {
	if len(q.waiting) == q.room {
		q.device.tell(verbs.Event{Type: verbs.EventCQError})
		return
	}
	q.waiting = append(q.waiting, c)
	if q.armed {
		q.armed = false
		_, _ = unix.Write(q.event, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
}

// drop is of a queue that is gone.
func (q *cq) drop() {
	delete(q.device.cqs, q)
	if q.event >= 0 {
		_ = unix.Close(q.event)
		q.event = -1
	}
}
