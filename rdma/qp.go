package rdma

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

// QPType is the transport of a queue pair. enum ib_uverbs_qp_type,
// ib_user_ioctl_verbs.h.
type QPType uint8

// Queue pair types.
const (
	RC = QPType(verbs.RC) // reliable connection
	UC = QPType(verbs.UC) // unreliable connection
	// Unreliable datagrams: messages of at most the bytes of a packet. Connect says where all of a queue pair go, and what
	// is received has GRHBytes in front of it.
	UD = QPType(verbs.UD)
)

func (t QPType) String() string {
	switch t {
	case RC:
		return "RC"
	case UC:
		return "UC"
	case UD:
		return "UD"
	}
	return fmt.Sprintf("queue pair type %d", uint8(t))
}

// Does says whether a queue pair of that type has an operation.
func (t QPType) Does(op Op) bool { return verbs.QPType(t).Does(verbs.Op(op)) }

// Reliable says whether a request's completion tells that its bytes have arrived. Of one of another type it
// tells that they were sent: what the network loses, or the peer has no receive for, is dropped.
func (t QPType) Reliable() bool { return t == RC }

// QPConfig says what a queue pair is to be. The zero value of everything but
// SendCQ has a meaning.
type QPConfig struct {
	Type    QPType // 0 is RC
	SendCQ  *CQ
	RecvCQ  *CQ  // nil is SendCQ
	MaxSend int  // requests under way at most; 0 is 128. A device may grant more.
	MaxRecv int  // receive requests; 0 is 1
	SRQ     *SRQ // where its receives come from; nil: it has its own
	Atomics bool // the peer may do atomic operations here, which not every device can
	// Pieces of memory of a request, and of a receive, at most; 0 is 1.
	MaxPieces int
	MaxInline int // bytes that a request may carry inline; 0: none does
	// READs and atomic operations that are under way at most, of its own and of its peer's each; 0 is DefaultReads. Of a
	// device that has less, it is less.
	Reads int
}

const (
	defaultMaxSend = 128
	maxRequests    = math.MaxUint32
	maxPieces      = 1 << 10 // no device has as many
	maxInline      = 1 << 16
	maxReads       = math.MaxUint8 // of struct ib_uverbs_modify_qp
	max24          = 1<<24 - 1     // of queue pair and packet sequence numbers
)

// QP is a queue pair. Its requests complete in the order they were posted.
type QP struct {
	object  *object
	config  QPConfig
	address Address
	domain  verbs.Handle
	reads   uint8 // and atomic operations of its own that are under way at most

	mu      sync.Mutex
	pair    verbs.QP        // nil once destroyed
	to      *verbs.Datagram // where all datagrams go; nil of another type, or not connected
	manager *Manager        // that has connected it; nil: none has
	// What PostAll gives to pair: requests, each of its own elements of sges, as many as config says.
	wrs      []verbs.WR
	sges     []verbs.SGE
	receives receives // the same of PostReceives
}

// CreateQP makes a queue pair, which can do nothing before [QP.Connect].
func (pd *PD) CreateQP(cfg QPConfig) (*QP, error) {
	if cfg.Type == 0 {
		cfg.Type = RC
	}
	what := fmt.Sprintf("%v queue pair", cfg.Type)
	if cfg.SendCQ == nil {
		return nil, &Error{Op: "create", Object: what, reason: errors.New("it has no completion queue")}
	}
	if cfg.RecvCQ == nil {
		cfg.RecvCQ = cfg.SendCQ
	}
	if cfg.MaxSend == 0 {
		cfg.MaxSend = defaultMaxSend
	}
	if cfg.MaxRecv == 0 {
		cfg.MaxRecv = 1
	}
	cfg.MaxPieces, cfg.Reads = cmp.Or(cfg.MaxPieces, 1), cmp.Or(cfg.Reads, DefaultReads)
	for _, most := range []struct {
		what          string
		n, from, upTo int
	}{
		{"MaxSend", cfg.MaxSend, 1, maxRequests}, {"MaxRecv", cfg.MaxRecv, 1, maxRequests},
		{"MaxPieces", cfg.MaxPieces, 1, maxPieces}, {"MaxInline", cfg.MaxInline, 0, maxInline},
		{"Reads", cfg.Reads, 1, maxReads},
	} {
		if most.n < most.from || most.n > most.upTo {
			return nil, &Error{Op: "create", Object: what, reason: limitError(most.what, most.n, most.from, most.upTo)}
		}
	}
	ctx := pd.object.ctx
	needs := []*object{pd.object, cfg.SendCQ.object, cfg.RecvCQ.object}
	if cfg.SRQ != nil {
		needs = append(needs, cfg.SRQ.object)
	}
	for _, n := range needs {
		if n.ctx != ctx {
			return nil, &Error{Op: "create", Object: what, reason: errors.New("one of its queues is of another context")}
		}
	}
	qp := &QP{config: cfg, domain: pd.handle}
	o, err := ctx.create(label{text: what}, needs, qp.destroy, func() error {
		device, err := ctx.attr()
		if err != nil {
			return newError("ask for the limits of", "device "+ctx.device.Name, err)
		}
		qp.reads = uint8(min(uint32(cfg.Reads), device.MaxRDAtomic))
		qp.address.Reads = uint8(min(uint32(cfg.Reads), device.MaxDestRDAtomic))
		// create keeps both queues from ending.
		qp.pair, err = ctx.backend.CreateQP(verbs.QPInit{
			PD: pd.handle, Type: verbs.QPType(cfg.Type), SendCQ: cfg.SendCQ.queue, RecvCQ: cfg.RecvCQ.queue,
			MaxSend: uint32(cfg.MaxSend), MaxRecv: uint32(cfg.MaxRecv),
			MaxSGE: uint32(cfg.MaxPieces), MaxInline: uint32(cfg.MaxInline),
			SRQ: cfg.SRQ.shared(),
		})
		if err != nil {
			return newCreateQPError(what, cfg, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	qp.object = o
	qp.address.QPN, qp.address.PSN = qp.pair.Number(), rand.Uint32()&max24
	qp.room(cfg.MaxSend)
	if qp.receives.pieces = cfg.pieces(); cfg.SRQ == nil {
		qp.receives.room(cfg.MaxRecv)
	}
	return qp, nil
}

func newCreateQPError(what string, cfg QPConfig, err error) error {
	e := newError("create", what, err)
	if e.Errno == unix.EINVAL || e.Errno == unix.ENOMEM {
		e.Remedy = fmt.Sprintf("%d send and %d receive requests may be more than the device allows", cfg.MaxSend, cfg.MaxRecv)
		if cfg.MaxPieces > 1 || cfg.MaxInline > 0 {
			e.Remedy += fmt.Sprintf(", or %d pieces of memory each, or %d bytes inline", cfg.MaxPieces, cfg.MaxInline)
		}
	}
	return e
}

// Op is what a request does. enum ib_uverbs_wr_opcode, ib_user_verbs.h.
type Op uint32

// Operations.
const (
	OpWrite = Op(verbs.OpWrite) // RDMA WRITE: the local bytes go to the remote memory
	OpRead  = Op(verbs.OpRead)  // RDMA READ: the remote bytes come to the local memory
	OpSend  = Op(verbs.OpSend)  // a message: the local bytes go where the peer's next receive says

	// The same with an immediate, which the peer finds in a completion. The write takes a receive
	// for that, and leaves its memory as it is.
	OpWriteImm = Op(verbs.OpWriteImm)
	OpSendImm  = Op(verbs.OpSendImm)

	// OpSendInv is a message that takes the key of a window of type 2 at the peer (Request.Invalidate) when it has arrived.
	OpSendInv = Op(verbs.OpSendInv)

	// Atomic operations change AtomicBytes of remote memory, a number in the byte order of the host, in one step, and
	// the local memory gets what it was before. The peer's queue pair is to permit them (QPConfig.Atomics).
	OpCompareSwap = Op(verbs.OpCompareSwap) // to Swap, if it is CompareAdd
	OpFetchAdd    = Op(verbs.OpFetchAdd)    // by CompareAdd more
)

// AtomicBytes is the length of what an atomic operation changes, and a divisor of its address.
const AtomicBytes = verbs.AtomicBytes

// Request moves bytes between Local and as many at RemoteAddr, which RKey gives access to. A message
// needs neither.
type Request struct {
	ID         uint64 // comes back in the completion
	Op         Op     // OpWrite, if it is not given
	Local      Slice
	More       []Slice // further pieces, behind Local
	RemoteAddr uint64
	RKey       uint32
	Imm        uint32 // of OpWriteImm and OpSendImm
	Invalidate uint32 // of OpSendInv: the key that it takes
	// Inline has the processor take the bytes as the request is posted, so that their memory may change afterwards.
	// Of writes and messages of QPConfig.MaxInline bytes at most.
	Inline bool

	CompareAdd, Swap uint64 // of OpCompareSwap and OpFetchAdd

	// Signaled requests give a completion when done. One that is not gives none
	// unless it fails, and its place in the send queue is known to be free only
	// by the completion of a later one.
	Signaled bool
}

// Post posts one request.
func (qp *QP) Post(w Request) error {
	_, err := qp.PostAll([]Request{w})
	return err
}

// PostAll posts as many of the requests, from the first, as there is room for,
// and rings the doorbell once for all. It says how many it posted; if not all, the
// error says why, [ErrQueueFull] most often. It allocates nothing unless it fails, or
// gets more requests than MaxSend.
func (qp *QP) PostAll(ws []Request) (int, error) {
	for i := range ws {
		err := checkPieces(&ws[i].Local, ws[i].More, qp.config.pieces())
		if err == nil && !qp.config.Type.Does(ws[i].Op) {
			err = fmt.Errorf("%v queue pairs have no such operation", qp.config.Type)
		}
		if err != nil {
			return 0, &Error{Op: "post", Object: fmt.Sprintf("request %d", ws[i].ID), reason: err}
		}
	}
	qp.mu.Lock()
	defer qp.mu.Unlock()
	if qp.pair == nil {
		return 0, closedError("post to", "queue pair")
	}
	qp.room(len(ws))
	wrs := qp.wrs[:len(ws)]
	for i := range ws {
		w := &ws[i]
		wrs[i].SGEs = fillPieces(qp.sges, i, qp.config.pieces(), &w.Local, w.More)
		wrs[i].ID, wrs[i].Op, wrs[i].Signaled, wrs[i].Inline = w.ID, verbs.Op(w.Op), w.Signaled, w.Inline
		wrs[i].Imm, wrs[i].Invalidate, wrs[i].To = networkOrder(w.Imm), w.Invalidate, qp.to
		wrs[i].CompareAdd, wrs[i].Swap = w.CompareAdd, w.Swap
		wrs[i].Remote = verbs.Remote{Addr: w.RemoteAddr, RKey: w.RKey}
	}
	n, err := qp.pair.Post(wrs)
	if err != nil {
		return n, newPostError(qp.address, err)
	}
	if n < len(ws) {
		return n, ErrQueueFull
	}
	return n, nil
}

// room makes room for n requests to be posted at once.
func (qp *QP) room(n int) {
	if n <= len(qp.wrs) {
		return
	}
	qp.wrs, qp.sges = make([]verbs.WR, n), make([]verbs.SGE, n*qp.config.pieces())
}

func newPostError(a Address, err error) error {
	e := newError("post to", fmt.Sprintf("queue pair %d", a.QPN), err)
	if e.Errno == unix.EINVAL {
		e.Remedy = "the queue pair is not connected, or failed: poll for what became of its requests"
	}
	return e
}

// Close removes the queue pair. Requests under way are dropped without a
// completion.
func (qp *QP) Close() error { return qp.object.close() }

func (qp *QP) destroy() error {
	qp.mu.Lock()
	pair, to, manager := qp.pair, qp.to, qp.manager
	qp.pair, qp.to = nil, nil
	qp.mu.Unlock()
	var errs []error
	if manager != nil {
		errs = append(errs, manager.forget(qp))
	}
	errs = append(errs, pair.Destroy())
	if to != nil {
		errs = append(errs, qp.object.ctx.backend.DestroyAH(to.AH))
	}
	return errors.Join(errs...)
}
