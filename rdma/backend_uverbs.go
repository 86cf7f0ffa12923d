package rdma

import (
	"errors"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/rxe"
	"umemstress/rdma/internal/uapi"
	"umemstress/rdma/internal/uverbs"
)

// uverbsBackend asks the kernel through uverbs and drives the queues of rdma_rxe.
type uverbsBackend struct{ file *uverbs.File }

func openUverbs(path string) (backend, error) {
	file, err := uverbs.Open(path)
	if err != nil {
		return nil, err
	}
	return &uverbsBackend{file}, nil
}

func (b *uverbsBackend) close() error { return b.file.Close() }
func (b *uverbsBackend) fatal() bool  { return b.file.Fatal() }

func (b *uverbsBackend) queryPort(number int) (portAttributes, error) {
	attr, err := b.file.QueryPort(uint8(number))
	return portAttributes{state: PortState(attr.State), activeMTU: mtuBytes(attr.ActiveMTU)}, err
}

func (b *uverbsBackend) allocPD() (handle, error) {
	pd, err := b.file.AllocPD()
	return handle(pd), err
}

func (b *uverbsBackend) deallocPD(pd handle) error { return b.file.DeallocPD(uint32(pd)) }

func (b *uverbsBackend) registerMR(pd handle, mem []byte, access Access) (region, error) {
	resp, err := b.file.RegMR(uint32(pd), addressOf(mem), uint64(len(mem)), uint32(access))
	return region{handle: handle(resp.MRHandle), lkey: resp.LKey, rkey: resp.RKey}, err
}

func (b *uverbsBackend) deregisterMR(mr handle) error { return b.file.DeregMR(uint32(mr)) }

// rxeCQ is a completion queue with its mapping.
type rxeCQ struct {
	file   *uverbs.File
	handle uint32
	mem    []byte
	ring   *rxe.CompletionQueue
}

func (b *uverbsBackend) createCQ(entries int) (completionQueue, error) {
	resp, err := b.file.CreateRxeCQ(uint32(entries))
	if err != nil {
		return nil, err
	}
	q := &rxeCQ{file: b.file, handle: resp.CQHandle}
	if q.mem, err = rxe.Map(b.file.FD(), resp.Driver.MI); err == nil {
		q.ring, err = rxe.NewCompletionQueue(q.mem)
	}
	if err != nil {
		return nil, errors.Join(err, q.destroy())
	}
	return q, nil
}

func (q *rxeCQ) poll(wc []Completion) int {
	n := min(q.ring.Ready(), len(wc))
	for i := range n {
		from := q.ring.At(i)
		wc[i] = Completion{
			ID: from.WRID, Status: Status(from.Status), ByteLen: from.ByteLen,
			QPN: from.QPNum, VendorErr: from.VendorErr,
		}
	}
	if n > 0 {
		q.ring.Consume(n)
	}
	return n
}

func (q *rxeCQ) destroy() error {
	return errors.Join(q.file.DestroyCQ(q.handle), unmap(q.mem))
}

// rxeQP is a queue pair with the mapping of its send queue. The receive queue is
// left unmapped: nothing posts to it.
type rxeQP struct {
	file     *uverbs.File
	handle   uint32
	qpn      uint32
	mem      []byte
	ring     *rxe.SendQueue
	doorbell *uverbs.Doorbell
}

func (b *uverbsBackend) createQP(pd handle, send, recv completionQueue, cfg QPConfig) (queuePair, error) {
	resp, err := b.file.CreateRxeQP(uapi.CreateQP{
		PDHandle:     uint32(pd),
		SendCQHandle: send.(*rxeCQ).handle,
		RecvCQHandle: recv.(*rxeCQ).handle,
		MaxSendWR:    uint32(cfg.MaxSend),
		MaxRecvWR:    uint32(cfg.MaxRecv),
		MaxSendSGE:   1,
		MaxRecvSGE:   1,
		QPType:       uint8(cfg.Type),
	})
	if err != nil {
		return nil, err
	}
	q := &rxeQP{file: b.file, handle: resp.QPHandle, qpn: resp.QPN, doorbell: b.file.NewDoorbell(resp.QPHandle)}
	if q.mem, err = rxe.Map(b.file.FD(), resp.Driver.SQMI); err == nil {
		q.ring, err = rxe.NewSendQueue(q.mem)
	}
	if err != nil {
		return nil, errors.Join(err, q.destroy())
	}
	return q, nil
}

func (q *rxeQP) number() uint32 { return q.qpn }

func (q *rxeQP) post(ws []WriteRequest) (int, error) {
	n := min(q.ring.Free(), len(ws))
	if n == 0 {
		return 0, nil
	}
	for i := range ws[:n] {
		w := &ws[i]
		q.ring.Put(&rxe.Write{
			ID: w.ID, Signaled: w.Signaled,
			Addr: w.Local.MR.Addr() + uint64(w.Local.Offset), Length: uint32(w.Local.Length),
			LKey: w.Local.MR.LKey(), RemoteAddr: w.RemoteAddr, RKey: w.RKey,
		})
	}
	q.ring.Publish()
	return n, q.doorbell.Ring()
}

func (q *rxeQP) destroy() error {
	return errors.Join(q.file.DestroyQP(q.handle), unmap(q.mem))
}

// unmap is for mappings that may never have been made.
func unmap(mem []byte) error {
	if mem == nil {
		return nil
	}
	return unix.Munmap(mem)
}

// How a connection is kept. A lost peer is asked seven times, half a second each,
// so its requests fail after four seconds: well beyond the stalls of an emulated
// machine, where losing the peer by mistake would be worse than to wait. The
// count is 6, because 7 means without end to rdma_rxe (rxe_completer).
const (
	ackTimeout  = 17 // 4.096 µs << 17 = 537 ms for an answer
	retryCount  = 6
	rnrRetry    = 7  // without end, by the specification
	minRNRTimer = 12 // 0.64 ms
	maxRDAtomic = 1
	hopLimit    = 64
)

func (q *rxeQP) connect(c connection) error {
	mtu, _ := mtuCode(c.path.MTU)
	init := uapi.ModifyQP{
		QPState:       uapi.QPStateInit,
		PortNum:       uint8(c.path.Port),
		QPAccessFlags: uapi.AccessLocalWrite | uapi.AccessRemoteWrite | uapi.AccessRemoteRead,
		AttrMask:      uapi.QPAttrState | uapi.QPAttrPkeyIndex | uapi.QPAttrPort | uapi.QPAttrAccessFlags,
	}
	rtr := uapi.ModifyQP{
		QPState:   uapi.QPStateRTR,
		PathMTU:   mtu,
		DestQPNum: c.remote.QPN,
		RQPSN:     c.remote.PSN,
		Dest: uapi.QPDest{
			DGID: c.remoteGID, SGIDIndex: uint8(c.path.GID.Index),
			IsGlobal: 1, HopLimit: hopLimit, PortNum: uint8(c.path.Port),
		},
		AttrMask: uapi.QPAttrState | uapi.QPAttrAV | uapi.QPAttrPathMTU | uapi.QPAttrDestQPN | uapi.QPAttrRQPSN,
	}
	rts := uapi.ModifyQP{
		QPState:  uapi.QPStateRTS,
		SQPSN:    c.localPSN,
		AttrMask: uapi.QPAttrState | uapi.QPAttrSQPSN,
	}
	if c.reliable {
		rtr.MaxDestRDAtomic, rtr.MinRNRTimer = maxRDAtomic, minRNRTimer
		rtr.AttrMask |= uapi.QPAttrMaxDestRDAtomic | uapi.QPAttrMinRNRTimer
		rts.Timeout, rts.RetryCnt, rts.RNRRetry, rts.MaxRDAtomic = ackTimeout, retryCount, rnrRetry, maxRDAtomic
		rts.AttrMask |= uapi.QPAttrTimeout | uapi.QPAttrRetryCnt | uapi.QPAttrRNRRetry | uapi.QPAttrMaxQPRDAtomic
	}
	for _, step := range []uapi.ModifyQP{init, rtr, rts} {
		step.QPHandle = q.handle
		if err := q.file.ModifyQP(step); err != nil {
			return err
		}
	}
	return nil
}
