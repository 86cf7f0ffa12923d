// Package end is one end of the traffic of the holder rdma: a device, its queue pairs, and the
// region that it sends from or has the bytes arrive in. Both ends are of one process, one of
// them is of another (package remote), or each of its own host.
package end

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"umemstress/rdma"
	"umemstress/rdma/counters"
	"umemstress/workload/holder"
	"umemstress/workload/internal/fault"
	"umemstress/workload/latency"
	"umemstress/workload/record"
)

// Side is which region an end has.
type Side int

// The sides of a run.
const (
	Source Side = iota // of the anonymous region
	Target             // of the file's
)

// Config is what an end is opened with.
type Config struct {
	Side       Side
	Backend    string // how verbs reach the device: one of rdma.Backends
	Device     string // empty: the first with an active port
	Path       rdma.PathConfig
	Connection string // of its queue pairs: one of Connections
	Verb       string // how bytes move: one of Verbs
	QueuePairs int    // connections that share the traffic
	SRQ        bool   // and their receives: one queue has them
	Depth      int    // messages of each that are under way at most
	Reads      int    // of which reads and atomic operations; 0: rdma.DefaultReads
	OnDemand   bool   // the region is not pinned: rdma.AccessOnDemand
	HugePages  int64  // bytes of each huge page that the source's region is of, wherever it is; 0: of usual ones
	ReadOnly   bool   // the device may read the target's region alone
	Rereg      string // how the target's region is re-registered: ReregAccess, ReregMemory, or empty
	Windows    int    // the other end reaches the target's region through memory windows of that type; 0: it does not
	Events     bool   // it sleeps until the device tells of completions
	Pieces     int    // that a message has of this end's region, one behind the other
	Inline     int    // bytes; messages that are no longer go inline, if the verb can
	RateLimit  int64  // bytes a second that are sent at most; 0: as many as can be
	Manager    bool   // queue pairs are connected by the connection manager: the source listens, the target dials
}

// End is one of the two ends. It is used by one at a time.
type End struct {
	config   Config
	verb     verb
	info     rdma.Device
	context  *rdma.Context
	pd       *rdma.PD
	cq       *rdma.CQ
	path     rdma.Path
	manager  *rdma.Manager // nil: addresses are exchanged
	meeting  *rdma.Meeting // where the source listens
	pairs    []*pair
	byNumber map[uint32]*pair
	inboxes  []*inbox // of the pairs, or the one that they share
	headers  *headers // of datagrams that are received
	mtu      int      // bytes of a packet, of both ends
	mine     pieces
	theirs   Region
	pass     holder.Pass
	took     *latency.Histogram
	ledger   *ledger // of who makes atomic operations
	pace     *pace
	before   counters.Counters // of the port, when the queue pairs were connected

	completions [16]rdma.Completion
}

// Place is where an end can be reached.
type Place struct {
	Addresses []rdma.Address `json:"addresses"` // of its queue pairs
	MTU       int            `json:"mtu"`       // bytes
	GIDType   string         `json:"gid_type"`  // such as "RoCE v2"; empty where a LID is the address
	Meeting   *rdma.Meeting  `json:"rdma_cm,omitempty"`
}

// Region is what an end lets the other one reach.
type Region struct {
	PieceBytes int64   `json:"piece_bytes"`
	Pieces     []Piece `json:"pieces"`
}

// Piece is a memory region, as the other end names it.
type Piece struct {
	Addr uint64 `json:"addr"`
	RKey uint32 `json:"rkey"`
}

// Open opens the device and makes the queue pairs.
func Open(c Config) (_ *End, err error) {
	e := &End{config: c, verb: verbNamed(c.Verb), byNumber: map[uint32]*pair{}, took: latency.New(), pace: newPace(c.RateLimit)}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Close())
		}
	}()
	if e.info, err = rdma.FindDevice("/sys", c.Device); err != nil {
		return nil, err
	}
	if err = c.fits(e.info); err != nil {
		return nil, err
	}
	through, _ := e.through()
	if e.context, err = rdma.OpenThrough(e.info, through); err != nil {
		return nil, err
	}
	if e.pd, err = e.context.AllocPD(); err != nil {
		return nil, err
	}
	// Room for the completions of all that is under way.
	create := e.context.CreateCQ
	if c.Events {
		create = e.context.CreateEventCQ
	}
	if e.cq, err = create(c.QueuePairs * (c.Depth + receiveDepth)); err != nil {
		return nil, err
	}
	if e.path, err = e.context.Path(c.Path); err != nil {
		return nil, err
	}
	if err := e.makePairs(); err != nil {
		return nil, err
	}
	if c.Manager {
		err = e.openManager()
	}
	return e, err
}

func (e *End) makePairs() (err error) {
	c := e.config
	if Datagrams(c.Connection) {
		if e.headers, err = newHeaders(e.pd); err != nil {
			return err
		}
	}
	var srq *rdma.SRQ
	if c.SRQ {
		if srq, err = e.pd.CreateSRQ(rdma.SRQConfig{MaxRecv: receiveDepth, MaxPieces: c.receivePieces()}); err != nil {
			return err
		}
		e.inboxes = append(e.inboxes, newInbox(c, e.headers, srq.PostReceives))
	}
	for range c.QueuePairs {
		p, err := newPair(e.pd, e.cq, c, srq, e.took)
		if err != nil {
			return err
		}
		if srq == nil {
			e.inboxes = append(e.inboxes, newInbox(c, e.headers, p.qp.PostReceives))
		}
		p.inbox = e.inboxes[len(e.inboxes)-1]
		e.pairs = append(e.pairs, p)
		e.byNumber[p.qp.Address().QPN] = p
	}
	return nil
}

// Device is the RDMA device.
func (e *End) Device() record.Device {
	through, why := e.through()
	return record.Device{Name: e.info.Name, Driver: e.info.Driver, Backend: string(through), BackendWhy: why}
}

// Place is where the other end can reach this one.
func (e *End) Place() Place {
	p := Place{MTU: e.path.MTU, GIDType: e.path.GID.Type, Meeting: e.meeting}
	for _, pair := range e.pairs {
		address := pair.qp.Address()
		address.GID, address.LID = e.path.GID.Addr, e.path.LID
		p.Addresses = append(p.Addresses, address)
	}
	return p
}

// Connect connects the queue pairs with those of another end, which has as many; both have to be
// connected before either sends.
func (e *End) Connect(ctx context.Context, other Place) error {
	if len(other.Addresses) != len(e.pairs) {
		return fmt.Errorf("the other end has %d queue pairs for %d of %s", len(other.Addresses), len(e.pairs), e.info.Name)
	}
	e.before = e.counted()
	if e.manager != nil {
		return e.meet(ctx, other)
	}
	if other.GIDType != e.path.GID.Type {
		return fmt.Errorf("the address of %s is %s, and that of the other end %s: choose two alike with --gid-index, here and there",
			e.info.Name, cmp.Or(e.path.GID.Type, "a LID"), cmp.Or(other.GIDType, "a LID"))
	}
	path := e.path
	path.MTU = min(path.MTU, other.MTU)
	e.mtu = path.MTU
	for i, p := range e.pairs {
		if err := p.qp.Connect(other.Addresses[i], path); err != nil {
			return err
		}
	}
	return nil
}

// Register registers this end's region as n memory regions. After an error, too, Deregister is to
// be called.
func (e *End) Register(ctx context.Context, mapping []byte, n int) (Region, error) {
	err := e.register(mapping, n)
	if err == nil && e.windowed() {
		err = e.openWindows(ctx)
	}
	if err == nil && e.verb.atomic && e.config.Sends(false) {
		err = e.keepLedger(mapping)
	}
	return e.mine.region(), err
}

// access is what the device may do with this end's region.
func (e *End) access() rdma.Access {
	access := e.verb.access
	if e.windowed() {
		access = rdma.AccessLocalWrite | rdma.AccessBindWindow
	}
	if e.config.ReadOnly && e.config.Side == Target {
		access = rdma.AccessRemoteRead
	}
	if e.config.OnDemand {
		access |= rdma.AccessOnDemand
	}
	return access
}

// keepLedger has this end's queue pairs make atomic operations.
func (e *End) keepLedger(mapping []byte) (err error) {
	if e.ledger, err = newLedger(e.pd, mapping, len(e.pairs)*slots(e.config.Depth)); err != nil {
		return err
	}
	for i, p := range e.pairs {
		p.keep(e.ledger, i*slots(e.config.Depth))
	}
	return nil
}

// Begin tells the other end's region, and how passes are cut into messages.
func (e *End) Begin(theirs Region, pass holder.Pass) error {
	mine := pass.Source
	if e.config.Side == Target {
		mine = pass.Target
	}
	if pass.Size < 1 || pass.Source < 1 || pass.Target < 1 || pass.Piece < 0 || mine > e.mine.len() {
		return fmt.Errorf("a pass cannot be %+v over a region of %d bytes", pass, e.mine.len())
	}
	if e.verb.atomic && (pass.Size != rdma.AtomicBytes || pass.Target%rdma.AtomicBytes != 0 || pass.Source%rdma.AtomicBytes != 0 || pass.Piece%rdma.AtomicBytes != 0) {
		return fmt.Errorf("a pass of numbers of %d bytes cannot be %+v", rdma.AtomicBytes, pass)
	}
	if Datagrams(e.config.Connection) && pass.Size > e.mtu {
		return fault.Lacksf("messages of %d bytes do not go over %s: a datagram has at most the %d bytes of a packet there; give --size %d", pass.Size, e.info.Name, e.mtu, e.mtu)
	}
	e.theirs, e.pass = theirs, pass
	return e.ledger.begin(pass.Target)
}

// Sends says whether an end so opened posts the requests of a message from the source to the
// target, or back.
func (c Config) Sends(back bool) bool {
	source := c.Side == Source
	return source != back != (verbNamed(c.Verb).op == rdma.OpRead)
}

// Receives says whether the end that does not send has receives posted: of each message, or, where nobody
// acknowledges, of the last ones of an order, which tell that all have come that do.
func (c Config) Receives() bool { return verbNamed(c.Verb).receives || !c.Acknowledged() }

// Acknowledged says whether the end that sends knows what has arrived.
func (c Config) Acknowledged() bool { return c.transport().Reliable() }

// Answers says whether an end's queue pairs keep a region that was read from (struct resp_res,
// rdma_rxe of 5.10: seen to stay pinned after its release).
func (c Config) Answers() bool { return verbNamed(c.Verb).op == rdma.OpRead }

// Latencies are how long batches of messages took that this end has posted since it was asked last.
func (e *End) Latencies() []latency.Count { return e.took.Take() }

// ClosePairs closes the queue pairs alone.
func (e *End) ClosePairs() error {
	var errs []error
	for _, p := range e.pairs {
		errs = append(errs, p.qp.Close())
	}
	return errors.Join(errs...)
}

// Deregister closes the memory regions, by so many threads.
func (e *End) Deregister(threads int) error {
	return errors.Join(e.closeWindows(), e.mine.close(threads), e.ledger.release())
}

// Close closes the context, and with it everything that was made from it.
func (e *End) Close() error {
	if e.context == nil {
		return nil
	}
	return errors.Join(e.context.Close(), e.ledger.close(), e.headers.close())
}

// complete takes a completion into account for its queue pair.
func (e *End) complete(c *rdma.Completion) error {
	if p, ours := e.byNumber[c.QPN]; ours {
		return p.complete(c)
	}
	return fmt.Errorf("a completion came for queue pair %d, which was asked for nothing: %w", c.QPN, cmp.Or(c.Err(), errUnasked))
}

// errUnasked is of a completion that stands for no request.
var errUnasked = errors.New("nobody asked for it")
