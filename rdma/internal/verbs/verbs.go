// Package verbs is the seam between package rdma and who carries its requests
// out: interfaces for an open device and its queues, and plain types that all
// backends mean the same by.
//
// Above the seam are life times, the order of closing, what may be asked for, and
// what an error means to a user; they are the same for every device. Below it is
// how one kind of device does it. Package verbstest holds every backend to what is
// written here.
//
// # Values
//
// Enumerations and flags have the values of the kernel's enums, which are those of
// libibverbs too; each names the header. Numbers have the width that the kernel's
// ABI gives them, so that nothing can be cut off below the seam: whoever converts
// checks, and that is package rdma.
//
// # Errors
//
// Errors are errnos (unix.Errno in the chain). A backend adds no words and
// interprets nothing, but it must let these be told apart:
//
//   - EINVAL: the request is malformed, or beyond what the device can do
//   - EOPNOTSUPP: it is well formed, and this backend does not do such things
//   - EBUSY: destroying what something else still uses
//   - EFAULT: memory to register cannot be reached as the access asks, or the
//     kernel refuses to pin it. Old drivers say EINVAL for every error of a pin:
//     that is passed on too
//   - ENOMEM: too little lockable memory, or none at all
//   - EIO, ENODEV: the device was removed. Destroying then answers so, or nil: the
//     object is gone in both cases
//   - EACCES: the process is not the one, by its credentials, that opened the device
//
// # Connections
//
// Queue pairs are connected by [QP.Modify], with an address, a number and a sequence number that suit InfiniBand and
// RoCE, or with what a connection manager says, which alone connects those of iWARP and is none of a backend's.
package verbs

import "golang.org/x/sys/unix"

// Backend is an open device. Its methods may be called by several goroutines at
// once, except Close, which is the last of all calls, those of its queues included.
type Backend interface {
	// QueryDevice asks for what the device has.
	QueryDevice() (DeviceAttr, error)
	// QueryPort asks for the state of a port, counted from 1; EINVAL for one that
	// is not there.
	QueryPort(port uint8) (PortAttr, error)
	// NextEvent takes the oldest of the events that the device has told of and nobody has taken, if
	// there is one. It does not block. A device that can say no more gives EventDeviceFatal each time;
	// but it may vanish without a word, so that none means nothing.
	NextEvent() (Event, bool)

	AllocPD() (Handle, error)
	DeallocPD(Handle) error // EBUSY while a region or queue pair is in it
	// RegisterMR pins mem, which is not empty and not Go's own memory, and makes
	// its bytes known to the device under their own address.
	RegisterMR(pd Handle, mem []byte, access Access) (MR, error)
	// RegisterMRs is RegisterMR of each of the memories, into as many regions. It stops at an error, and says how many it has made.
	RegisterMRs(pd Handle, mems [][]byte, access Access, into []MR) (int, error)
	// RegisterDMABuf makes the first bytes of a dma-buf known to the device, from address 0 on. EOPNOTSUPP: the device
	// registers none; EPROTONOSUPPORT: the kernel has no such request, as before Linux 5.12.
	RegisterDMABuf(pd Handle, fd int, length uint64, access Access) (MR, error)
	// ReregisterMR changes a region that no request uses, and perhaps its keys. EOPNOTSUPP: the device does not change that of
	// one; EACCES: its pages are pinned for reading, and would be written. After another error the region has what it had before, or nothing: it can be deregistered, and no more.
	ReregisterMR(mr Handle, to Rereg) (MR, error)
	// DeregisterMR ends a region. Its pages are unpinned when the last request
	// that uses it is done, at the latest when Close returns. EBUSY, or EINVAL of rdma_rxe, while a window is
	// bound to it.
	DeregisterMR(Handle) error

	// AllocMW makes a memory window that is bound to nothing. EOPNOTSUPP: the device has none.
	AllocMW(pd Handle, of MWType) (MW, error)
	// DeallocMW ends it, and what it is bound to then has one user less; of a window of type 2, so does a completed OpLocalInv,
	// and a backend need not know of an OpSendInv.
	DeallocMW(Handle) error

	// CreateCQ makes a completion queue with room for at least entries completions,
	// which is more than 0.
	CreateCQ(entries uint32) (CQ, error)
	// CreateEventCQ makes one with a completion channel of its own.
	CreateEventCQ(entries uint32) (EventCQ, error)
	// CreateSRQ makes a shared receive queue.
	CreateSRQ(SRQInit) (SRQ, error)
	// CreateAH makes an address handle, which datagrams are sent by; it is not destroyed under one that is under way.
	CreateAH(pd Handle, to AH) (Handle, error)
	DestroyAH(Handle) error
	// CreateQP makes a queue pair in the state Reset.
	CreateQP(QPInit) (QP, error)

	// Close gives back everything that is left too.
	Close() error
}

// CQ is a completion queue. It is never called by two goroutines at once, nor after
// Destroy.
type CQ interface {
	// Poll takes up to len(wc) completions, oldest first, and says how many. It does
	// not block, and gives none twice. What it does not set in a Completion is zero.
	Poll(wc []Completion) (int, error)
	Destroy() error // EBUSY while a queue pair uses it
}

// EventCQ is a completion queue that can wake who waits.
type EventCQ interface {
	CQ
	// Arm forgets the events that are there, and asks for one when the next completion comes. One that
	// is there already need give none: poll afterwards.
	Arm() error
	// EventFD is readable when an event is there. It is the queue's, until Destroy.
	EventFD() int
}

// QP is a queue pair. It is never called by two goroutines at once, nor after
// Destroy.
type QP interface {
	Number() uint32
	// Modify changes what attr.Mask names, or nothing.
	Modify(attr QPAttr) error
	// Post queues requests, as many as there is room for from the first, tells the
	// device once, and says how many it queued. n < len(wrs) without an error means
	// that the queue is full. An error is that of wrs[n], or, with n requests
	// queued, that of telling the device: a queue pair that is not connected gives
	// EINVAL so. It keeps nothing of wrs, and allocates nothing.
	//
	// Requests complete in the order they were posted. One that fails, and every
	// one behind it, completes even if it is not signaled; those behind with
	// StatusFlushed, which a driver may also say of a request that is itself at fault
	// here, not at the peer. On an unreliable connection one is done when its bytes are
	// on their way, and nobody is told that the peer had no receive for it, that its key gives
	// access to nothing, or that a packet was lost: it is dropped there as a whole, and those
	// behind it go on. QPType.Does says which requests there are: EINVAL else.
	Post(wrs []WR) (n int, err error)
	// PostReceives queues memory for messages that the peer sends, as Post does requests, from the
	// state Init on. Each message takes the memory that was queued first, and completes it with the
	// message's length; one that is longer than the memory fails on both sides. A write with an
	// immediate (OpWriteImm) takes some, too, and leaves it as it is. A queue pair
	// in the error state flushes what is queued. EINVAL in Reset. Queue it before the message comes: the sender is to
	// try again as RNRRetry says, which rdma_rxe of 5.10 does without a pause, so that a machine of
	// one processor does nothing else. EINVAL of a queue pair that shares its receives.
	PostReceives(wrs []ReceiveWR) (n int, err error)
	// BindMW queues the binding of a window, of a queue pair that is connected, and tells the device. It gives the key that the
	// window has once that is completed, which it does in any case, and from when on the key before is one to nothing.
	// One that the device refuses fails as a request does, as of a window of type 2 that is bound. ENOMEM: the queue is full.
	BindMW(Bind) (rkey uint32, err error)
	// Destroy drops requests under way without a completion.
	Destroy() error
}

// Handle names an object of a backend, in the backend's own way.
type Handle uint64

// MR is a registered memory region.
type MR struct {
	Handle     Handle
	LKey, RKey uint32
}

// DeviceAttr is what a device has. struct ib_uverbs_query_device_resp, ib_user_verbs.h;
// struct ibv_device_attr, verbs.h.
type DeviceAttr struct {
	// MaxDestRDAtomic is how many reads and atomics of its peer's a queue pair answers at a time, at most (max_qp_rd_atom),
	// and MaxRDAtomic how many of its own are under way (max_qp_init_rd_atom).
	MaxDestRDAtomic, MaxRDAtomic uint32
}

// PortAttr is a port as it is now. struct ib_uverbs_query_port_resp,
// ib_user_verbs.h; struct ibv_port_attr, verbs.h.
type PortAttr struct {
	State     PortState
	ActiveMTU MTU
}

// QPInit says what a queue pair is to be. A device may grant more.
// struct ib_uverbs_create_qp, ib_user_verbs.h; struct ibv_qp_init_attr, verbs.h.
type QPInit struct {
	PD             Handle
	Type           QPType
	SendCQ, RecvCQ CQ // of the same backend
	MaxSend        uint32
	MaxRecv        uint32 // does not count with SRQ
	SRQ            SRQ    // of the same backend and domain, where its receives come from; nil: it has its own
	MaxSGE         uint32 // pieces of memory of a request, and of a receive; 0 is 1
	MaxInline      uint32 // bytes that a request may carry inline
}

// Limits are what its requests and receives may be.
func (i *QPInit) Limits() Limits {
	return Limits{Type: i.Type, SGEs: max(1, int(i.MaxSGE)), Inline: uint64(i.MaxInline)}
}

// SGE is a piece of local memory. struct ib_uverbs_sge, ib_user_verbs.h.
type SGE struct {
	Addr   uint64
	Length uint32 // bytes
	LKey   uint32
}

// Remote is memory at the other side.
type Remote struct {
	Addr uint64
	RKey uint32
}

// WR is a request to send. struct ib_uverbs_send_wr, ib_user_verbs.h;
// struct ibv_send_wr, verbs.h.
type WR struct {
	ID       uint64 // comes back in the completion
	Op       Op
	Signaled bool   // completes also when it succeeds
	SGEs     []SGE  // from 1 to QPInit.MaxSGE, one behind the other in the message: EINVAL else; none of OpLocalInv
	Remote   Remote // of all but messages; a message of OpSend goes where the peer's next receive says
	Imm      uint32 // of OpWriteImm and OpSendImm, in network byte order

	// Invalidate is the key of a window of type 2 that OpLocalInv takes from a window of this queue pair, and OpSendInv, when
	// its bytes have arrived, from one of the peer's. One that is not bound through the queue pair there fails: of OpSendInv there, and maybe not here.
	Invalidate uint32

	// Inline has the bytes taken when the request is posted, by the processor: their memory need not be
	// registered, and may change afterwards. Of writes and messages of QPInit.MaxInline bytes at most: EINVAL else.
	Inline bool

	// Of OpCompareSwap and OpFetchAdd, which change AtomicBytes of remote memory, a number in the byte order of the host,
	// and have what it was before come into the local memory. The first makes it Swap if it is CompareAdd, the second adds
	// CompareAdd to it. The remote address is a multiple of AtomicBytes, and so is the length: EINVAL else.
	CompareAdd, Swap uint64

	To *Datagram // of queue pairs of type UD, and of no others
}

// ReceiveWR is memory for a message. struct ib_uverbs_recv_wr, ib_user_verbs.h;
// struct ibv_recv_wr, verbs.h.
type ReceiveWR struct {
	ID   uint64 // comes back in the completion
	SGEs []SGE  // from 1 to QPInit.MaxSGE, which a message fills in their order: EINVAL else
}

// Limits are what a queue pair was made for.
type Limits struct {
	Type   QPType
	SGEs   int
	Inline uint64 // bytes
}

// Plain refuses what the queue pair is not made for.
func (w *ReceiveWR) Plain(most Limits) error {
	if len(w.SGEs) < 1 || len(w.SGEs) > most.SGEs {
		return unix.EINVAL
	}
	return nil
}

// AtomicBytes is the length of what atomic operations change.
const AtomicBytes = 8

// Atomic says whether an operation is one that changes remote memory in one step.
func (o Op) Atomic() bool { return o == OpCompareSwap || o == OpFetchAdd }

// Invalidates says whether an operation takes a window's key, which stands where others have an immediate.
func (o Op) Invalidates() bool { return o == OpLocalInv || o == OpSendInv }

// Plain refuses all but what the backends of today do, with the errno of the contract: a write, a
// read, a message, an atomic operation or the end of a window's key, of what the queue pair is made for and its transport has.
func (w *WR) Plain(most Limits) error {
	switch {
	case w.Op > OpSendInv, w.Op == opBind, w.To != nil && most.Type != UD:
		return unix.EOPNOTSUPP
	case w.To == nil && most.Type == UD:
		return unix.EINVAL
	case w.Op == OpLocalInv:
		if len(w.SGEs) > 0 || w.Inline || !most.Type.Does(w.Op) {
			return unix.EINVAL
		}
		return nil
	case len(w.SGEs) < 1, len(w.SGEs) > most.SGEs, !most.Type.Does(w.Op):
		return unix.EINVAL
	case w.Op.Atomic() && (len(w.SGEs) != 1 || w.SGEs[0].Length != AtomicBytes || w.Remote.Addr%AtomicBytes != 0):
		return unix.EINVAL
	case w.Inline && (w.Op == OpRead || w.Op.Atomic() || w.Bytes() > most.Inline):
		return unix.EINVAL
	}
	return nil
}

// Bytes is how many a request carries.
func (w *WR) Bytes() (n uint64) {
	for i := range w.SGEs {
		n += uint64(w.SGEs[i].Length)
	}
	return n
}

// Completion tells how a request ended. struct ib_uverbs_wc, ib_user_verbs.h;
// struct ibv_wc, verbs.h. Of one that failed, ID, Status, QPN and VendorErr alone
// mean something.
type Completion struct {
	ID        uint64
	Status    Status
	ByteLen   uint32 // of what came in: receives and reads
	QPN       uint32 // the local queue pair
	VendorErr uint32
	WithImm   bool   // what came in has an immediate
	Imm       uint32 // in network byte order
}

// QPAttr is what a queue pair is changed to. struct ib_uverbs_modify_qp,
// ib_user_verbs.h; struct ibv_qp_attr, verbs.h.
type QPAttr struct {
	Mask            AttrMask
	State           QPState
	Access          Access // what the other side may do
	PKeyIndex       uint16
	Port            uint8
	AH              AH
	PathMTU         MTU
	DestQPN         uint32 // 24 bits, as are the sequence numbers
	QKey            uint32 // of UD: what datagrams are to have
	RQPSN           uint32 // first packet that it expects
	SQPSN           uint32 // first packet that it sends
	Timeout         uint8  // 4.096 µs << Timeout for an answer; 0 is without end
	RetryCount      uint8  // 3 bits: how often a peer that does not answer is asked again
	RNRRetry        uint8  // 3 bits: the same of one that is not ready; 7 is without end
	MinRNRTimer     uint8  // 5 bits, a code
	MaxRDAtomic     uint8  // reads and atomics under way
	MaxDestRDAtomic uint8  // the same of the other side
}

// EachOf is RegisterMRs of a backend that has nothing to gain by it.
func EachOf(mems [][]byte, into []MR, register func(mem []byte) (MR, error)) (n int, err error) {
	for n = range mems {
		if into[n], err = register(mems[n]); err != nil {
			return n, err
		}
	}
	return len(mems), nil
}
