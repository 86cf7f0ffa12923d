package rdma

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

// Address is how to reach a queue pair. The other side needs it to connect.
type Address struct {
	QPN uint32     // queue pair number
	PSN uint32     // first packet sequence number it sends
	GID netip.Addr // of its port; the zero Addr means the very port of the peer (loopback)
	LID uint16     // the same on InfiniBand
	// READs and atomic operations of the other side's that it answers at a time; 0 is 1.
	Reads uint8
}

// Address is what the other side needs to connect to this queue pair.
func (qp *QP) Address() Address { return qp.address }

// Connect takes the queue pair through INIT and RTR to RTS, so that it reaches the
// remote one. Both sides must connect before either sends.
func (qp *QP) Connect(remote Address, path Path) error {
	gid := remote.GID
	if !gid.IsValid() {
		gid = path.GID.Addr
	}
	remote.LID = cmp.Or(remote.LID, path.LID)
	steps, to, err := connectSteps(qp.address, qp.reads, remote, gid, path, qp.config.Type)
	if err != nil {
		return newConnectError(qp.address, remote, gid, err)
	}
	if qp.config.Atomics {
		steps[0].Access |= verbs.AccessRemoteAtomic
	}
	c := qp.object.ctx
	c.mu.Lock()
	c.told.use(path.Port)
	c.mu.Unlock()
	qp.mu.Lock()
	defer qp.mu.Unlock()
	if qp.pair == nil {
		return closedError("connect", "queue pair")
	}
	for _, step := range steps {
		if err := qp.pair.Modify(step); err != nil {
			return withoutAtomics(newConnectError(qp.address, remote, gid, err), step)
		}
	}
	if qp.config.Type != UD {
		return nil
	}
	if err := qp.sendTo(remote.QPN, to); err != nil {
		return newConnectError(qp.address, remote, gid, err)
	}
	return nil
}

// How long a queue pair waits for an answer before it asks again ([PathConfig.Timeout]). A lost peer is asked seven times,
// half a second each, so its requests fail after four seconds: well beyond the stalls of an emulated
// machine, where losing the peer by mistake would be worse than to wait.
const (
	DefaultTimeout = 17 // 4.096 µs << 17 = 537 ms
	MaxTimeout     = 31 // IBA 9.7.6.1.3: the field has 5 bits; 0 is without end
)

// How a connection is kept. The count is 6, because 7 means without end to rdma_rxe (rxe_completer).
const (
	retryCount  = 6
	rnrRetry    = 7  // without end, by the specification
	minRNRTimer = 12 // 0.64 ms
	hopLimit    = 64
)

// DefaultReads is how many READs and atomic operations of a queue pair are under way at most, where the device has as many and
// nobody says otherwise: what ConnectX adapters have.
const DefaultReads = 16

// Most a verbs request can name. struct ib_uverbs_qp_dest, ib_user_verbs.h, has a
// __u8 for each, and so has struct ibv_ah_attr.
const (
	maxPort     = math.MaxUint8
	maxGIDIndex = math.MaxUint8
)

// connectSteps are the changes of a queue pair to INIT, RTR and RTS, and the way to the other one. So many READs and atomic
// operations of its own are under way at most; of the other one's, as many as its address says.
func connectSteps(local Address, reads uint8, remote Address, gid netip.Addr, path Path, transport QPType) ([]verbs.QPAttr, verbs.AH, error) {
	mtu, ok := verbs.MTUOf(path.MTU)
	if !ok {
		return nil, verbs.AH{}, fmt.Errorf("MTU %d: choose 256, 512, 1024, 2048 or 4096", path.MTU)
	}
	for _, n := range []struct {
		what       string
		n          int
		from, upTo int
	}{
		{"port", path.Port, 1, maxPort},
		{"GID index", path.GID.Index, 0, maxGIDIndex},
		{"queue pair number", int(remote.QPN), 0, max24},
		{"packet sequence number", int(remote.PSN), 0, max24},
	} {
		if n.n < n.from || n.n > n.upTo {
			return nil, verbs.AH{}, limitError(n.what, n.n, n.from, n.upTo)
		}
	}
	port := uint8(path.Port)
	init := verbs.QPAttr{
		Mask:  verbs.AttrState | verbs.AttrPKeyIndex | verbs.AttrPort | verbs.AttrAccess,
		State: verbs.Init,
		Port:  port, PKeyIndex: path.PKeyIndex,
		Access: verbs.AccessLocalWrite | verbs.AccessRemoteWrite | verbs.AccessRemoteRead,
	}
	rtr := verbs.QPAttr{
		Mask:    verbs.AttrState | verbs.AttrAH | verbs.AttrPathMTU | verbs.AttrDestQPN | verbs.AttrRQPSN,
		State:   verbs.ReadyToRecv,
		AH:      verbs.AH{Port: port, SL: path.ServiceLevel},
		PathMTU: mtu,
		DestQPN: remote.QPN,
		RQPSN:   remote.PSN,
	}
	if path.LID != 0 {
		rtr.AH.DLID = remote.LID
	}
	if gid.IsValid() {
		rtr.AH.Global, rtr.AH.DGID, rtr.AH.SGIDIndex = true, gid.As16(), uint8(path.GID.Index)
		rtr.AH.HopLimit, rtr.AH.TrafficClass = hopLimit, path.TrafficClass
	}
	rts := verbs.QPAttr{Mask: verbs.AttrState | verbs.AttrSQPSN, State: verbs.ReadyToSend, SQPSN: local.PSN}
	if transport == UD {
		steps := datagramSteps(init, local.PSN)
		rtr.AH.SGID, rtr.AH.DMAC = sourceOf(path, gid)
		return steps, rtr.AH, nil
	}
	if transport == UC {
		init.Access &^= verbs.AccessRemoteRead // which it does not carry
	}
	if transport == RC {
		rtr.Mask |= verbs.AttrMaxDestRDAtomic | verbs.AttrMinRNRTimer
		rtr.MaxDestRDAtomic, rtr.MinRNRTimer = local.Reads, minRNRTimer
		rts.Mask |= verbs.AttrTimeout | verbs.AttrRetryCount | verbs.AttrRNRRetry | verbs.AttrMaxRDAtomic
		rts.Timeout, rts.RetryCount, rts.RNRRetry = path.timeout(), retryCount, rnrRetry
		rts.MaxRDAtomic = min(reads, max(remote.Reads, 1))
	}
	return []verbs.QPAttr{init, rtr, rts}, rtr.AH, nil
}

func (p Path) timeout() uint8 { return cmp.Or(p.Timeout, DefaultTimeout) }

func newConnectError(local, remote Address, gid netip.Addr, err error) *Error {
	at := gid.String()
	if !gid.IsValid() {
		at = fmt.Sprintf("LID %d", remote.LID)
	}
	e := newError("connect", fmt.Sprintf("queue pair %d to %d at %s", local.QPN, remote.QPN, at), err)
	switch e.Errno {
	case unix.ENETUNREACH, unix.EHOSTUNREACH, unix.ETIMEDOUT:
		e.lacks, e.Remedy = true, "there is no route to this address: is the netdev up?"
	}
	return e
}

// withoutAtomics adds what may be the reason where a step is refused that permits atomic operations.
func withoutAtomics(e *Error, step verbs.QPAttr) error {
	if e.Errno == unix.EINVAL && step.Access&verbs.AccessRemoteAtomic != 0 {
		e.lacks, e.Remedy = true, "the device may have no atomic operations (ibv_devinfo -v has its atomic_cap)"
	}
	return e
}

// ConnectLoopback connects two queue pairs of one device with each other.
func ConnectLoopback(a, b *QP, path Path) error {
	if err := a.Connect(b.Address(), path); err != nil {
		return err
	}
	return b.Connect(a.Address(), path)
}
