// Package umem is the holder rdma: it pins by registering memory regions (ib_umem_get), and
// writes with RDMA WRITE or READ, or messages.
package umem

import (
	"context"
	"errors"

	"umemstress/probes/event"
	"umemstress/rdma"
	"umemstress/workload/holder"
	"umemstress/workload/holder/umem/end"
	"umemstress/workload/holder/umem/remote"
	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/memory"
	"umemstress/workload/internal/module"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// registration pins by registering memory regions, and writes with RDMA WRITE, READ or messages
// between pairs of queue pairs, of one device or of those of two hosts: the data leaves the source
// and arrives in the target through the device, not through the CPU's page table.
type registration struct {
	config         Config
	device         record.Device
	ends           end.Config // of the target
	target, source side
	modules        *module.Loaded // of the connection manager
	pass           holder.Pass
	from, to       *memory.Region
	pinnedBefore   uint64 // bytes of this process that were pinned before
	reregistered   bool
}

// Config is what the holder rdma is opened with.
type Config struct {
	Backend       string // how verbs reach the device: one of rdma.Backends
	Device        string // empty: the first with an active port
	Path          rdma.PathConfig
	Peer          string         // command that starts 'umemstress peer' where the source is; empty: it is here
	Caller        *remote.Caller // who has started this run, and has the source; nil: nobody
	Connection    string         // of the queue pairs: one of Connections
	Verb          string         // how bytes move: one of Verbs, which the connection Carries
	Regions       int            // memory regions that the target is registered as, which divide it into whole pages
	OnDemand      bool           // they are not pinned, but paged on demand
	Rereg         string         // how they are re-registered: one of Reregs, or empty
	Windows       int            // the source reaches them through memory windows of that type; 0: it does not
	HugePages     int64          // bytes of each that the source is of, wherever it is; 0: of usual ones
	ReadOnly      bool           // the device may not write to them: the process itself does, and it reads
	Release       string         // how they are released: one of Releases
	QueuePairs    int            // connections that share the traffic
	SRQ           bool           // and their receives: one queue has them
	Depth         int            // messages of each that are under way at most
	Reads         int            // of which reads and atomic operations; 0: as many as usual
	Events        bool           // the ends sleep until the device tells of completions
	MessageBytes  int            // that an RDMA operation carries
	Pieces        int            // that each has of the local memory, one behind the other
	Inline        int            // bytes; operations that carry no more have them inline
	RateLimit     int64          // bytes a second at most; 0: as many as can be
	Bidirectional bool           // passes from the target back into the source as well
	Manager       bool           // the connection manager connects the queue pairs
}

// The queue of messages under way, and what a message can be asked to have.
const (
	DefaultDepth = end.DefaultDepth
	MaxDepth     = end.MaxDepth
	MaxReads     = end.MaxReads
	MaxTimeout   = rdma.MaxTimeout
	MaxPieces    = end.MaxPieces
	MaxInline    = end.MaxInline
)

// VerbWrite is the verb of who chooses none.
const VerbWrite = end.VerbWrite

// Verbs are the names of all.
func Verbs() []string { return end.Verbs() }

// ConnectionRC is the connection of who chooses none.
const ConnectionRC = end.ConnectionRC

// Connections are the names of all.
func Connections() []string { return end.Connections() }

// Carries says whether a connection has a verb.
func Carries(connection, verb string) bool { return end.Carries(connection, verb) }

// Datagrams says whether messages over a connection have at most the bytes of a packet.
func Datagrams(connection string) bool { return end.Datagrams(connection) }

// Reliable says whether a connection repeats what is lost.
func Reliable(connection string) bool { return end.Reliable(connection) }

// Received says whether a verb has a receive for each message.
func Received(verb string) bool { return end.Received(verb) }

// Atomic says whether a verb changes numbers, whose length is all that a message has.
func Atomic(verb string) bool { return end.Atomic(verb) }

// Keyed says whether a verb has who sends name a key to the file's region.
func Keyed(verb string) bool { return end.Keyed(verb) }

// Sends says whether a verb has who has the bytes send them.
func Sends(verb string) bool { return end.Sends(verb) }

// Arrival says how bytes arrive that a verb carries, as in "bytes that arrive by ...".
func Arrival(verb string) string { return end.Arrival(verb) }

// StoresArrive is how bytes arrive in a region that the device may only read.
const StoresArrive = "stores of the run itself, which the device reads"

// Facts is what is known of the holder rdma.
func Facts() scenario.Holder {
	return scenario.Holder{
		Choice: scenario.Choice{Name: "rdma", What: "an RDMA memory region registered over the mapping"},
		Does:   Arrival(VerbWrite), PinsSource: true, Probed: event.HolderUmem, PinsCounted: true,
	}
}

// Open opens the devices of both ends, and connects the queue pairs.
func Open(ctx context.Context, c Config) (_ holder.Holder, err error) {
	h := &registration{config: c}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.Close())
		}
	}()
	h.ends = end.Config{Side: end.Target, Backend: c.Backend, Device: c.Device, Path: c.Path, Connection: c.Connection, Verb: c.Verb, QueuePairs: c.QueuePairs, SRQ: c.SRQ, Depth: c.Depth, Reads: c.Reads, Events: c.Events, OnDemand: c.OnDemand, ReadOnly: c.ReadOnly, Windows: c.Windows, Rereg: c.Rereg, HugePages: c.HugePages, Pieces: c.Pieces, Inline: c.Inline, RateLimit: c.RateLimit, Manager: c.Manager}
	if c.Manager {
		if h.modules, err = module.Load(ctx, end.Modules()); err != nil {
			return nil, err
		}
	}
	if err := h.openTarget(ctx); err != nil {
		return nil, err
	}
	if err := h.openSource(ctx); err != nil {
		return nil, err
	}
	if err := h.connect(ctx); err != nil {
		return nil, err
	}
	return h, nil
}

// openTarget opens the end of the file's region: of a child, where its end is the release.
func (h *registration) openTarget(ctx context.Context) error {
	if h.byProcess() {
		p, err := remote.OpenChild(ctx, h.ends)
		if err == nil {
			h.target, h.device = p, p.Device()
		}
		return err
	}
	e, err := end.Open(h.ends)
	if err == nil {
		h.target, h.device = here{e}, e.Device()
	}
	return err
}

// openSource opens the end of the anonymous region: of another host where there is one.
func (h *registration) openSource(ctx context.Context) error {
	c := h.ends
	c.Side, c.OnDemand, c.Windows, c.Rereg = end.Source, false, 0, ""
	switch {
	case h.config.Caller != nil:
		return h.openRemote(h.config.Caller.Open(ctx, c))
	case h.config.Peer != "":
		return h.openRemote(remote.Open(ctx, h.config.Peer, c))
	}
	e, err := end.Open(c)
	if err == nil {
		h.source = here{e}
	}
	return err
}

// openRemote takes the end of another host for the source.
func (h *registration) openRemote(p *remote.End, err error) error {
	if err == nil {
		h.source, h.device.Peer = p, p.Peer()
	}
	return err
}

// Device is the RDMA device.
func (h *registration) Device() record.Device { return h.device }

// Pin registers both regions. The anonymous one goes first: if that fails, the
// reason has nothing to do with files.
func (h *registration) Pin(ctx context.Context, source, target *memory.Region) (err error) {
	if h.pinnedBefore, err = pinnedBytes(); err != nil {
		return err
	}
	theirs, err := h.source.Register(ctx, source, 1)
	if err != nil {
		return err
	}
	mine, err := h.target.Register(ctx, target, h.config.Regions)
	if errors.Is(err, rdma.ErrPinRefused) || errors.Is(err, rdma.ErrAccessRefused) {
		return fault.PinRefused(err)
	}
	if err != nil {
		return err
	}
	if h.byProcess() {
		memory.Show(target.Bytes) // what the child has unmapped, a strip is to find mapped here
	}
	h.from, h.to = source, target
	h.pass = holder.Pass{Size: h.config.MessageBytes, Target: target.Length, Source: source.Length, Piece: mine.PieceBytes}
	if err := h.target.Begin(ctx, theirs, h.pass); err != nil {
		return err
	}
	return h.source.Begin(ctx, mine, h.pass)
}

// Write makes passes over the target.
func (h *registration) Write(ctx context.Context, step holder.Step) (record.Traffic, error) {
	if err := h.source.Fill(ctx, h.from, step.Source); err != nil {
		return record.Traffic{}, err
	}
	t := transfer{
		source: h.source, target: h.target, config: h.ends, pass: h.pass,
		bidirectional: h.config.Bidirectional, stop: step.Stop, counter: step.Progress,
		took: step.Latency, overwriting: step.Overwriting,
	}
	if h.config.ReadOnly {
		t.bidirectional = false // each pass is
		t.stores = func() (record.Traffic, error) { return holder.StoreThrough(ctx, h.from, h.to, h.pass.Size) }
	}
	traffic, err := t.run(ctx)
	if err == nil && h.config.Rereg == ReregMemory && !h.reregistered {
		h.reregistered = true
		err = h.reregister(ctx)
	}
	return traffic, err
}

// Content is nil: the run chooses the bytes.
func (h *registration) Content() []byte { return nil }

// Tally is zero: a registration is no call that lasts.
func (h *registration) Tally() holder.Tally { return holder.Tally{} }

// Held is true until release: a registration ends by nobody else's doing.
func (h *registration) Held() error { return nil }

// Close closes both ends, and with them everything that was made from them.
func (h *registration) Close() error {
	var errs []error
	for _, s := range []side{h.source, h.target} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(append(errs, h.modules.Close())...)
}
