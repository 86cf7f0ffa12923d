// Package umem is the holder rdma: it pins by registering memory regions (ib_umem_get), and
// writes with RDMA WRITE or READ, or messages.
package umem

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"umemstress/probes/event"
	"umemstress/rdma"
	"umemstress/workload/holder"
	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/memory"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// registration pins by registering memory regions, and writes with RDMA WRITE, READ or messages
// between pairs of queue pairs of one device: the data leaves the source and
// arrives in the target through the device, not through the CPU's page table.
type registration struct {
	verb    verb
	config  Config
	info    rdma.Device
	context *rdma.Context
	pd      *rdma.PD
	cq      *rdma.CQ
	flows   []*flow
	// The same, by the numbers of the queue pairs.
	bySender, byReceiver map[uint32]*flow

	source, target pieces
	pinnedBefore   uint64 // bytes of this process that were pinned before
}

// Config is what the holder rdma is opened with.
type Config struct {
	Backend       string // how verbs reach the device: one of rdma.Backends
	Device        string // empty: the first with an active port
	Path          rdma.PathConfig
	Verb          string // how bytes move: one of Verbs
	Regions       int    // memory regions that the target is registered as, which divide it into whole pages
	Release       string // how they are released: one of Releases
	QueuePairs    int    // connections that share the traffic
	MessageBytes  int    // that an RDMA operation carries
	Bidirectional bool   // passes from the target back into the source as well
}

// Facts is what is known of the holder rdma.
func Facts() scenario.Holder {
	return scenario.Holder{
		Choice: scenario.Choice{Name: "rdma", What: "an RDMA memory region registered over the mapping"},
		Does:   Arrival(VerbWrite), PinsSource: true, Probed: event.HolderUmem, PinsCounted: true,
	}
}

// Open opens the device and connects the queue pairs.
func Open(c Config) (_ holder.Holder, err error) {
	h := &registration{config: c, verb: verbNamed(c.Verb), bySender: map[uint32]*flow{}, byReceiver: map[uint32]*flow{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.Close())
		}
	}()
	if h.info, err = rdma.FindDevice("/sys", c.Device); err != nil {
		return nil, err
	}
	if h.context, err = rdma.OpenThrough(h.info, rdma.Backend(c.Backend)); err != nil {
		return nil, err
	}
	if h.pd, err = h.context.AllocPD(); err != nil {
		return nil, err
	}
	// Room for the completions of all that is under way, of both sides.
	if h.cq, err = h.context.CreateCQ(2 * c.QueuePairs * sendDepth); err != nil {
		return nil, err
	}
	path, err := h.context.Path(c.Path)
	if err != nil {
		return nil, err
	}
	for range c.QueuePairs {
		f, err := newFlow(h.pd, h.cq, path, h.verb)
		if err != nil {
			return nil, err
		}
		h.flows = append(h.flows, f)
		h.bySender[f.sender.Address().QPN] = f
		h.byReceiver[f.receiver.Address().QPN] = f
	}
	return h, nil
}

// Device is the RDMA device.
func (h *registration) Device() record.Device {
	through, why := rdma.Backend(h.config.Backend).Choose(h.info)
	return record.Device{Name: h.info.Name, Driver: h.info.Driver, Backend: string(through), BackendWhy: why}
}

// Pin registers both regions. The anonymous one goes first: if that fails, the
// reason has nothing to do with files.
func (h *registration) Pin(_ context.Context, source, target *memory.Region) (err error) {
	if h.pinnedBefore, err = pinnedBytes(); err != nil {
		return err
	}
	if err := h.source.register(h.pd, source.Bytes, 1, h.verb.access); err != nil {
		return err
	}
	err = h.target.register(h.pd, target.Bytes, h.config.Regions, h.verb.access)
	if errors.Is(err, rdma.ErrPinRefused) {
		return fault.PinRefused(err)
	}
	return err
}

// Write makes passes over the target.
func (h *registration) Write(ctx context.Context, step holder.Step) (record.Traffic, error) {
	t := transfer{
		holder:        h,
		pass:          holder.Pass{Size: h.config.MessageBytes, Target: h.target.len(), Source: h.source.len(), Piece: h.target.bytes},
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

// How regions are released.
const (
	ReleaseDereg    = "dereg"    // one after the other
	ReleaseParallel = "parallel" // by several threads at once
)

// Releases are all ways.
func Releases() []string { return []string{ReleaseDereg, ReleaseParallel} }

// releasers is how many threads several are.
const releasers = 8

// releaseBound is how long a release may take to reach the kernel's pin count.
const releaseBound = 10 * time.Second

// Release deregisters the regions, the file's first, and waits until the kernel
// has unpinned them: old rxe only drops a reference, and the pages are released
// with the last one.
//
// A region that an RDMA READ came out of is kept by the queue pair that answered it (struct
// resp_res, rdma_rxe of 5.10: seen to stay pinned), so that after READs these are closed first.
func (h *registration) Release(ctx context.Context) error {
	if h.verb.op == rdma.OpRead {
		if err := h.closeFlows(); err != nil {
			return err
		}
	}
	if err := h.closeRegions(); err != nil {
		return err
	}
	deadline := time.Now().Add(releaseBound)
	for {
		pinned, err := pinnedBytes()
		if err != nil || pinned <= h.pinnedBefore {
			return err
		}
		if time.Now().After(deadline) {
			return fault.Ineffectivef("%d bytes are still pinned %v after deregistration (VmPin of /proc/self/status)", pinned-h.pinnedBefore, releaseBound)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
}

func (h *registration) closeFlows() error {
	var errs []error
	for _, f := range h.flows {
		errs = append(errs, f.sender.Close(), f.receiver.Close())
	}
	return errors.Join(errs...)
}

// closeRegions closes the file's first.
func (h *registration) closeRegions() error {
	threads := 1
	if h.config.Release == ReleaseParallel {
		threads = releasers
	}
	return errors.Join(h.target.close(threads), h.source.close(1))
}

// complete takes a completion into account for its flow.
func (h *registration) complete(c *rdma.Completion) error {
	if f, ours := h.bySender[c.QPN]; ours {
		return f.complete(c)
	}
	if f, ours := h.byReceiver[c.QPN]; ours && f.verb.receives {
		return f.arrive(c)
	}
	return fmt.Errorf("a completion came for queue pair %d, which was asked for nothing: %w", c.QPN, cmp.Or(c.Err(), errUnasked))
}

// errUnasked is of a completion that stands for no request.
var errUnasked = errors.New("nobody asked for it")

// explain finds the cause behind a failed completion: requests are flushed when
// the device goes away.
func (h *registration) explain(err error) error {
	if gone := h.context.Alive(); gone != nil {
		return gone
	}
	return err
}

// Close closes the context, and with it everything that was made from it.
func (h *registration) Close() error {
	if h.context == nil {
		return nil
	}
	return h.context.Close()
}
