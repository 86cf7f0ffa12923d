package verbstest

import (
	"bytes"
	"encoding/binary"

	"umemstress/rdma/internal/verbs"
)

// What a queue pair of a [Device] can have at most.
const (
	maxPieces = 32
	maxInline = 400
)

// pieces are the local memory of a request, without allocating.
type pieces struct {
	n    int
	sges [maxPieces]verbs.SGE
}

func newPieces(sges []verbs.SGE) (p pieces) {
	p.n = copy(p.sges[:], sges)
	return p
}

func (p *pieces) length() (n uint32) {
	for i := range p.n {
		n += p.sges[i].Length
	}
	return n
}

// found are pieces that the queue pair's domain has registered for that.
type found struct {
	n   int
	mem [maxPieces][]byte
}

func (d *Device) find(pd verbs.Handle, p *pieces, access verbs.Access) (f found, ok bool) {
	for f.n < p.n {
		s := p.sges[f.n]
		if f.mem[f.n] = d.bytes(pd, s.LKey, s.Addr, s.Length, access); f.mem[f.n] == nil {
			return f, false
		}
		f.n++
	}
	return f, true
}

// gather copies the pieces to one place, and scatter fills them from there.
func (f *found) gather(to []byte) {
	for i := range f.n {
		to = to[copy(to, f.mem[i]):]
	}
}

func (f *found) scatter(from []byte) {
	for i := range f.n {
		from = from[copy(f.mem[i], from):]
	}
}

// newPosted takes a request as it is now.
func newPosted(wr *verbs.WR) posted {
	p := posted{wr: *wr, pieces: newPieces(wr.SGEs)}
	p.wr.SGEs = nil
	if wr.To != nil {
		p.to, p.wr.To = *wr.To, nil
	}
	if wr.Inline {
		for _, s := range wr.SGEs {
			p.inline = append(p.inline, memoryAt(s.Addr, s.Length)...)
		}
	}
	return p
}

// run carries out what can be.
func (q *qp) run() {
	for len(q.queue) > 0 {
		p := &q.queue[0]
		status := verbs.StatusFlushed
		if q.state == verbs.ReadyToSend {
			peer := q.device.qps[q.dest]
			if q.most.Type == verbs.UD {
				if peer = q.device.qps[p.to.QPN]; peer != nil && peer.key != p.to.QKey {
					peer = nil
				}
			}
			switch hears := peer.hears(p.wr.Op); {
			case p.wr.Op == verbs.OpLocalInv:
				if status = verbs.StatusSuccess; !q.invalidate(p.wr.Invalidate) {
					status = verbs.StatusLocalOperation
				}
			case hears:
				status = q.carryOut(p, peer)
			case q.most.Type == verbs.RC: // it is tried again
				return
			default:
				status = verbs.StatusSuccess
			}
			if q.most.Type != verbs.RC && status != verbs.StatusLocalProtection && p.wr.Op != verbs.OpLocalInv { // nobody tells
				status = verbs.StatusSuccess
			}
		}
		if status != verbs.StatusSuccess {
			q.fail()
		}
		if p.wr.Signaled || status != verbs.StatusSuccess {
			c := verbs.Completion{ID: p.wr.ID, Status: status, QPN: q.qpn}
			if p.wr.Op == verbs.OpRead && status == verbs.StatusSuccess {
				c.ByteLen = p.pieces.length()
			}
			q.send.add(c)
		}
		q.queue = append(q.queue[:0], q.queue[1:]...)
	}
}

// hears says whether a request finds what it needs of a queue pair, which may not be there.
func (q *qp) hears(op verbs.Op) bool {
	if q == nil || q.state != verbs.ReadyToRecv && q.state != verbs.ReadyToSend {
		return false
	}
	return !takesReceive(op) || len(q.receives.waiting) > 0
}

func (q *qp) carryOut(p *posted, peer *qp) verbs.Status {
	local, access := verbs.Access(0), verbs.AccessRemoteWrite
	switch {
	case p.wr.Op == verbs.OpRead:
		local, access = verbs.AccessLocalWrite, verbs.AccessRemoteRead
	case p.wr.Op.Atomic():
		local, access = verbs.AccessLocalWrite, verbs.AccessRemoteAtomic
	}
	var here found
	if p.wr.Inline {
		here.n, here.mem[0] = 1, p.inline
	} else if all, ok := q.device.find(q.pd, &p.pieces, local); ok {
		here = all
	} else {
		return verbs.StatusLocalProtection
	}
	length := p.pieces.length()
	if p.wr.Op == verbs.OpSend || p.wr.Op == verbs.OpSendImm || p.wr.Op == verbs.OpSendInv {
		return peer.take(&p.wr, &here, length)
	}
	there := q.device.bytes(peer.pd, p.wr.Remote.RKey, p.wr.Remote.Addr, length, access)
	if there == nil {
		there = q.device.through(peer, p.wr.Remote.RKey, p.wr.Remote.Addr, length, access)
	}
	switch {
	case there == nil && q.most.Type == verbs.UC:
		return verbs.StatusRemoteAccess // which drops it alone
	case there == nil:
		peer.fail()
		return verbs.StatusRemoteAccess
	case p.wr.Op == verbs.OpRead:
		here.scatter(there)
	case p.wr.Op.Atomic():
		atomically(&p.wr, here.mem[0], there)
	default:
		here.gather(there)
	}
	if takesReceive(p.wr.Op) {
		peer.receive(receivedOf(&p.wr, length))
	}
	return verbs.StatusSuccess
}

// atomically changes a number there, and leaves here what it was.
func atomically(wr *verbs.WR, here, there []byte) {
	was := binary.NativeEndian.Uint64(there)
	binary.NativeEndian.PutUint64(here, was)
	switch {
	case wr.Op == verbs.OpFetchAdd:
		binary.NativeEndian.PutUint64(there, was+wr.CompareAdd)
	case was == wr.CompareAdd:
		binary.NativeEndian.PutUint64(there, wr.Swap)
	}
}

// take has a message arrive where the memory was queued first, and tells what its sender is told.
func (q *qp) take(wr *verbs.WR, message *found, length uint32) verbs.Status {
	p := &q.receives.waiting[0].pieces
	there, ok := q.device.find(q.pd, p, verbs.AccessLocalWrite)
	if q.most.Type == verbs.UD {
		length += verbs.GRHBytes
	}
	switch {
	case !ok:
		q.receive(verbs.Completion{Status: verbs.StatusLocalProtection})
		q.fail()
		return verbs.StatusRemoteOperation
	case length > p.length():
		q.receive(verbs.Completion{Status: verbs.StatusLocalLength})
		q.fail()
		return verbs.StatusRemoteInvalid
	}
	switch {
	case q.most.Type == verbs.UD:
		there.scatter(append(make([]byte, verbs.GRHBytes), bytes.Join(message.mem[:message.n], nil)...))
	case message.n == 1:
		there.scatter(message.mem[0])
	default:
		there.scatter(bytes.Join(message.mem[:message.n], nil))
	}
	if wr.Op == verbs.OpSendInv && !q.invalidate(wr.Invalidate) {
		q.receive(verbs.Completion{Status: verbs.StatusBind})
		q.fail()
		return verbs.StatusRemoteOperation
	}
	q.receive(receivedOf(wr, length))
	return verbs.StatusSuccess
}

// bytes finds registered memory, or nil.
func (d *Device) bytes(pd verbs.Handle, key uint32, addr uint64, length uint32, access verbs.Access) []byte {
	r := d.mrs[verbs.Handle(key)]
	if r == nil || r.key != key {
		r = d.rekeyed(key)
	}
	if r == nil || r.pd != pd || r.access&access != access {
		return nil
	}
	start := verbs.AddressOf(r.mem)
	if addr < start || addr-start > uint64(len(r.mem)) || uint64(length) > uint64(len(r.mem))-(addr-start) {
		return nil
	}
	return r.mem[addr-start:][:length]
}

// rekeyed finds a region that was re-registered, or nil.
func (d *Device) rekeyed(key uint32) *region {
	for _, r := range d.mrs {
		if r.key == key {
			return r
		}
	}
	return nil
}
