package workload

import (
	"context"
	"errors"
	"fmt"
	"time"

	"umemstress/rdma"
)

// rdmaHolder pins by registering memory regions, and writes with RDMA WRITE
// between pairs of queue pairs of one device: the data leaves the source and
// arrives in the target through the device, not through the CPU's page table.
type rdmaHolder struct {
	info     rdma.Device
	context  *rdma.Context
	pd       *rdma.PD
	cq       *rdma.CQ
	flows    []*flow
	bySender map[uint32]*flow // the same, by the number of the sending queue pair

	source, target *rdma.MR
	pinnedBefore   uint64 // bytes of this process that were pinned before
}

func openRDMA(_ context.Context, o Options) (_ holder, err error) {
	h := &rdmaHolder{bySender: map[uint32]*flow{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.Close())
		}
	}()
	if h.info, err = rdma.FindDevice("/sys", o.Device); err != nil {
		return nil, err
	}
	if h.context, err = rdma.Open(h.info); err != nil {
		return nil, err
	}
	if h.pd, err = h.context.AllocPD(); err != nil {
		return nil, err
	}
	if h.cq, err = h.context.CreateCQ(2 * o.QueuePairs * sendDepth); err != nil {
		return nil, err
	}
	path, err := h.context.Path(rdma.PathConfig{Port: o.Port, GIDIndex: o.GIDIndex})
	if err != nil {
		return nil, err
	}
	for range o.QueuePairs {
		f, err := newFlow(h.pd, h.cq, path)
		if err != nil {
			return nil, err
		}
		h.flows = append(h.flows, f)
		h.bySender[f.sender.Address().QPN] = f
	}
	return h, nil
}

func (h *rdmaHolder) device() Device {
	return Device{Name: h.info.Name, Driver: h.info.Driver, Backend: "uverbs"}
}

// pin registers both regions. The anonymous one goes first: if that fails, the
// reason has nothing to do with files.
func (h *rdmaHolder) pin(_ context.Context, source, target *region) (err error) {
	if h.pinnedBefore, err = pinnedBytes(); err != nil {
		return err
	}
	if h.source, err = h.pd.RegisterMR(source.mem, rdma.AccessLocalWrite|rdma.AccessRemoteWrite); err != nil {
		return err
	}
	h.target, err = h.pd.RegisterMR(target.mem, rdma.AccessLocalWrite|rdma.AccessRemoteWrite)
	if errors.Is(err, rdma.ErrPinRefused) {
		return pinRefused{err}
	}
	return err
}

func (h *rdmaHolder) write(ctx context.Context, step writeStep) (Traffic, error) {
	t := transfer{
		holder:        h,
		pass:          pass{size: step.messageBytes, target: int64(h.target.Len()), source: int64(h.source.Len())},
		bidirectional: step.bidirectional,
		stop:          step.stop,
	}
	return t.run(ctx)
}

// held is true until release: a registration ends by nobody else's doing.
func (h *rdmaHolder) held() error { return nil }

// releaseBound is how long a release may take to reach the kernel's pin count.
const releaseBound = 10 * time.Second

// release deregisters the regions, the file's first, and waits until the kernel
// has unpinned them: old rxe only drops a reference, and the pages are released
// with the last one.
func (h *rdmaHolder) release(ctx context.Context) error {
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
			return ineffective{fmt.Errorf("%d bytes are still pinned %v after deregistration (VmPin of /proc/self/status)", pinned-h.pinnedBefore, releaseBound)}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
}

func (h *rdmaHolder) closeRegions() error {
	var errs []error
	for _, mr := range []*rdma.MR{h.target, h.source} {
		if mr != nil {
			errs = append(errs, mr.Close())
		}
	}
	return errors.Join(errs...)
}

// explain finds the cause behind a failed completion: requests are flushed when
// the device goes away.
func (h *rdmaHolder) explain(err error) error {
	if gone := h.context.Alive(); gone != nil {
		return gone
	}
	return err
}

// Close closes the context, and with it everything that was made from it.
func (h *rdmaHolder) Close() error {
	if h.context == nil {
		return nil
	}
	return h.context.Close()
}
