package ibverbs

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

// Param is what an end brings into a connection.
type Param struct {
	QPN        uint32
	Reads      uint8  // reads and atomics under way, of either end
	RetryCount uint8  // as of verbs.QPAttr
	RNRRetry   uint8  // the same
	Private    []byte // for who is asked; 56 bytes at most go over InfiniBand and RoCE
}

// ManagerError is of what librdmacm tells in place of what was waited for.
type ManagerError struct {
	Event  uint32 // enum rdma_cm_event_type
	Status int32  // a negative errno, or, of Rejected, the reason by the transport's specification
}

func (e *ManagerError) Error() string {
	name := fmt.Sprintf("the connection manager tells of event %d", e.Event)
	if int(e.Event) < len(cmEventNames) {
		name = cmEventNames[e.Event]
	}
	if e.Status < 0 {
		return fmt.Sprintf("%s: %v (%s)", name, unix.Errno(-e.Status), unix.ErrnoName(unix.Errno(-e.Status)))
	}
	return fmt.Sprintf("%s: status %d", name, e.Status)
}

// Rejected says whether the other end, or its kernel, turned the request down.
func (e *ManagerError) Rejected() bool { return e.Event == cmRejected }

// cmEventNames are those of enum rdma_cm_event_type.
var cmEventNames = []string{
	"RDMA_CM_EVENT_ADDR_RESOLVED", "RDMA_CM_EVENT_ADDR_ERROR", "RDMA_CM_EVENT_ROUTE_RESOLVED", "RDMA_CM_EVENT_ROUTE_ERROR",
	"RDMA_CM_EVENT_CONNECT_REQUEST", "RDMA_CM_EVENT_CONNECT_RESPONSE", "RDMA_CM_EVENT_CONNECT_ERROR", "RDMA_CM_EVENT_UNREACHABLE",
	"RDMA_CM_EVENT_REJECTED", "RDMA_CM_EVENT_ESTABLISHED", "RDMA_CM_EVENT_DISCONNECTED", "RDMA_CM_EVENT_DEVICE_REMOVAL",
}

// resolveBound is how long the kernel may look for an address, and for the way to it.
const resolveBound = 5 * time.Second

// Resolve makes an ID that knows the way from a local address to another one, and so its device. Packets that have it get
// the traffic class, unless it is 0.
func (m *Manager) Resolve(stop Stop, from, to netip.AddrPort, trafficClass uint8) (_ *ID, err error) {
	id, err := m.newID()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, id.Close())
		}
	}()
	l := m.library
	if trafficClass != 0 {
		lend(&trafficClass, func(a uintptr) { err = l.do(l.setOption, id.address, optionID, optionIDTOS, a, 1) })
		if err != nil {
			return nil, err
		}
	}
	bound := uintptr(resolveBound.Milliseconds())
	lendAddress(from, func(from uintptr) {
		lendAddress(to, func(to uintptr) { err = l.do(l.resolveAddr, id.address, from, to, bound) })
	})
	if err != nil {
		return nil, err
	}
	if _, err := id.await(stop, cmAddrResolved); err != nil {
		return nil, err
	}
	if err := l.do(l.resolveRoute, id.address, bound); err != nil {
		return nil, err
	}
	if _, err := id.await(stop, cmRouteResolved); err != nil {
		return nil, err
	}
	return id, nil
}

// Attr is what the queue pair of the connection is to be changed to on its way to a state. With an empty mask, the device
// changes it by itself.
func (i *ID) Attr(state verbs.QPState) (verbs.QPAttr, error) {
	attr := qpAttr{QPState: uint32(state)}
	var mask int32
	var err error
	l := i.manager.library
	lend(&attr, func(a uintptr) {
		lend(&mask, func(m uintptr) { err = l.do(l.initQPAttr, i.address, a, m) })
	})
	if err != nil {
		return verbs.QPAttr{}, err
	}
	return neutral(attr, verbs.AttrMask(mask))
}

// knownAttrs are those that verbs.QPAttr has.
const knownAttrs = verbs.AttrState | verbs.AttrAccess | verbs.AttrPKeyIndex | verbs.AttrPort | verbs.AttrAH | verbs.AttrPathMTU |
	verbs.AttrTimeout | verbs.AttrRetryCount | verbs.AttrRNRRetry | verbs.AttrRQPSN | verbs.AttrMaxRDAtomic | verbs.AttrMinRNRTimer |
	verbs.AttrSQPSN | verbs.AttrMaxDestRDAtomic | verbs.AttrDestQPN

// neutral is the reverse of modifyRequest.
func neutral(r qpAttr, mask verbs.AttrMask) (verbs.QPAttr, error) {
	if mask&^knownAttrs != 0 {
		return verbs.QPAttr{}, unix.EPROTO
	}
	return verbs.QPAttr{
		Mask: mask, State: verbs.QPState(r.QPState), Access: verbs.Access(r.QPAccessFlags), PKeyIndex: r.PKeyIndex, Port: r.PortNum,
		AH: verbs.AH{
			DLID: r.AHAttr.DLID, SL: r.AHAttr.SL, Port: r.AHAttr.PortNum, Global: r.AHAttr.IsGlobal != 0,
			DGID: r.AHAttr.DGID, SGIDIndex: r.AHAttr.SGIDIndex, HopLimit: r.AHAttr.HopLimit, TrafficClass: r.AHAttr.TrafficClass,
		},
		PathMTU: verbs.MTU(r.PathMTU), DestQPN: r.DestQPNum, RQPSN: r.RQPSN, SQPSN: r.SQPSN,
		Timeout: r.Timeout, RetryCount: r.RetryCnt, RNRRetry: r.RNRRetry, MinRNRTimer: r.MinRNRTimer,
		MaxRDAtomic: r.MaxRDAtomic, MaxDestRDAtomic: r.MaxDestRDAtomic,
	}, nil
}

// Connect asks for the connection. Where it is answered, the queue pair is to be changed to RTR and RTS, and Establish
// called; else the connection is there, as with iWARP.
func (i *ID) Connect(stop Stop, p Param) (answered bool, err error) {
	if err := i.offer(i.manager.library.connect, p); err != nil {
		return false, err
	}
	told, err := i.await(stop, cmConnectResponse, cmEstablished)
	return told == cmConnectResponse, err
}

// Establish tells the other end that the connection is there.
func (i *ID) Establish() error { return i.manager.library.do(i.manager.library.establish, i.address) }

// offer calls rdma_connect or rdma_accept.
func (i *ID) offer(function uintptr, p Param) (err error) {
	param := connParam{
		PrivateDataLen: uint8(len(p.Private)), ResponderResources: p.Reads, InitiatorDepth: p.Reads,
		RetryCount: p.RetryCount, RNRRetryCount: p.RNRRetry, QPNum: p.QPN,
	}
	if len(p.Private) > maxPrivate {
		return unix.EINVAL
	}
	if len(p.Private) > 0 {
		var pinner runtime.Pinner
		pinner.Pin(&p.Private[0])
		defer pinner.Unpin()
		param.PrivateData = addressOf(&p.Private[0])
	}
	lend(&param, func(a uintptr) { err = i.manager.library.do(function, i.address, a) })
	return err
}

// Request is somebody's wish for a connection with who listens.
type Request struct {
	ID      *ID
	Private []byte // what came with it, with zeroes behind
	Reads   uint8  // and atomics that the other end has under way, and answers
}

func (m *Manager) request(e event) *Request {
	return &Request{ID: &ID{manager: m, address: e.id}, Private: e.data, Reads: e.reads}
}

// Request waits for who asks for a connection with this ID, which listens.
func (i *ID) Request(stop Stop) (*Request, error) {
	m := i.manager
	for {
		if len(m.pending) > 0 {
			r := m.pending[0]
			m.pending = m.pending[1:]
			return r, nil
		}
		e, err := m.next(stop)
		if err != nil {
			return nil, err
		}
		switch {
		case e.kind == cmConnectRequest:
			m.pending = append(m.pending, m.request(e))
		case e.id == i.address:
			return nil, &ManagerError{Event: e.kind, Status: e.status}
		}
	}
}

// Accept accepts the request, once its queue pair was changed to RTR and RTS, and waits until the connection is there.
func (r *Request) Accept(stop Stop, p Param) error {
	if err := r.ID.offer(r.ID.manager.library.accept, p); err != nil {
		return err
	}
	_, err := r.ID.await(stop, cmEstablished)
	return err
}

// Reject turns the request down, and closes its ID.
func (r *Request) Reject() error {
	l := r.ID.manager.library
	const noData, noBytes = 0, 0
	return errors.Join(l.do(l.reject, r.ID.address, noData, noBytes), r.ID.Close())
}
