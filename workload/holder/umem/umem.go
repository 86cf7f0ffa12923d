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
	"umemstress/workload/holder/umem/peer"
	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/memory"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// registration pins by registering memory regions, and writes with RDMA WRITE, READ or messages
// between pairs of queue pairs, of one device or of those of two hosts: the data leaves the source
// and arrives in the target through the device, not through the CPU's page table.
type registration struct {
	config       Config
	target       here
	source       other
	pass         holder.Pass
	from         *memory.Region
	pinnedBefore uint64 // bytes of this process that were pinned before
}

// Config is what the holder rdma is opened with.
type Config struct {
	Backend       string // how verbs reach the device: one of rdma.Backends
	Device        string // empty: the first with an active port
	Path          rdma.PathConfig
	Peer          string // command that starts 'umemstress peer' where the source is; empty: it is here
	Verb          string // how bytes move: one of Verbs
	Regions       int    // memory regions that the target is registered as, which divide it into whole pages
	Release       string // how they are released: one of Releases
	QueuePairs    int    // connections that share the traffic
	MessageBytes  int    // that an RDMA operation carries
	Bidirectional bool   // passes from the target back into the source as well
}

// VerbWrite is the verb of who chooses none.
const VerbWrite = end.VerbWrite

// Verbs are the names of all.
func Verbs() []string { return end.Verbs() }

// Arrival says how bytes arrive that a verb carries, as in "bytes that arrive by ...".
func Arrival(verb string) string { return end.Arrival(verb) }

// Facts is what is known of the holder rdma.
func Facts() scenario.Holder {
	return scenario.Holder{
		Choice: scenario.Choice{Name: "rdma", What: "an RDMA memory region registered over the mapping"},
		Does:   Arrival(VerbWrite), PinsSource: true, Probed: event.HolderUmem, PinsCounted: true,
	}
}

// Open opens the device, and the peer's where there is one, and connects the queue pairs.
func Open(ctx context.Context, c Config) (_ holder.Holder, err error) {
	h := &registration{config: c}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.Close())
		}
	}()
	config := end.Config{Side: end.Target, Backend: c.Backend, Device: c.Device, Path: c.Path, Verb: c.Verb, QueuePairs: c.QueuePairs}
	if h.target.End, err = end.Open(config); err != nil {
		return nil, err
	}
	if h.source, err = openSource(ctx, c, config); err != nil {
		return nil, err
	}
	if err := h.target.Connect(h.source.Place()); err != nil {
		return nil, err
	}
	if err := h.source.Connect(ctx, h.target.Place()); err != nil {
		return nil, err
	}
	return h, nil
}

// openSource opens the end that has the source.
func openSource(ctx context.Context, c Config, config end.Config) (other, error) {
	config.Side = end.Source
	if c.Peer != "" {
		return peer.Open(ctx, c.Peer, config)
	}
	e, err := end.Open(config)
	if err != nil {
		return nil, err
	}
	return hereToo{here{e}}, nil
}

// Device is the RDMA device.
func (h *registration) Device() record.Device {
	d := h.target.Device()
	if p, far := h.source.(*peer.Peer); far {
		there := p.Device()
		d.Peer = &there
	}
	return d
}

// Pin registers both regions. The anonymous one goes first: if that fails, the
// reason has nothing to do with files.
func (h *registration) Pin(ctx context.Context, source, target *memory.Region) (err error) {
	if h.pinnedBefore, err = pinnedBytes(); err != nil {
		return err
	}
	theirs, err := h.source.Register(ctx, source)
	if err != nil {
		return err
	}
	mine, err := h.target.Register(target.Bytes, h.config.Regions)
	if errors.Is(err, rdma.ErrPinRefused) {
		return fault.PinRefused(err)
	}
	if err != nil {
		return err
	}
	h.from = source
	h.pass = holder.Pass{Size: h.config.MessageBytes, Target: target.Length, Source: source.Length, Piece: mine.PieceBytes}
	if err := h.target.Begin(theirs, h.pass); err != nil {
		return err
	}
	return h.source.Begin(ctx, mine, h.pass)
}

// Write makes passes over the target.
func (h *registration) Write(ctx context.Context, step holder.Step) (record.Traffic, error) {
	if err := h.source.Fill(ctx, h.from); err != nil {
		return record.Traffic{}, err
	}
	t := transfer{
		source: h.source, target: h.target,
		receives: h.target.Receives(), most: end.MostReceives(h.config.QueuePairs),
		pass:          h.pass,
		bidirectional: h.config.Bidirectional,
		stop:          step.Stop,
		counter:       step.Progress,
	}
	return t.run(ctx)
}

// Content is nil: the run chooses the bytes.
func (h *registration) Content() []byte { return nil }

// Tally is zero: a registration is no call that lasts.
func (h *registration) Tally() holder.Tally { return holder.Tally{} }

// Held is true until release: a registration ends by nobody else's doing.
func (h *registration) Held() error { return nil }

// Close closes both contexts, and with them everything that was made from them.
func (h *registration) Close() error {
	var errs []error
	if h.source != nil {
		errs = append(errs, h.source.Close())
	}
	if h.target.End != nil {
		errs = append(errs, h.target.Close())
	}
	return errors.Join(errs...)
}
