package umem

import (
	"context"
	"fmt"
	"time"

	"umemstress/rdma"
	"umemstress/workload/holder"
	"umemstress/workload/record"
)

// transfer is one write phase: messages dealt to the flows in turn.
type transfer struct {
	holder        *registration
	pass          holder.Pass
	bidirectional bool
	stop          holder.StopRule
	counter       *holder.Progress

	sent        record.Traffic
	forwarded   int // messages of sent from the source to the target
	completions [16]rdma.Completion
}

// run sends until the stop rule is content and returns when all has arrived.
func (t *transfer) run(ctx context.Context) (record.Traffic, error) {
	started := time.Now()
	err := t.send(ctx)
	t.sent.Seconds = time.Since(started).Seconds()
	return t.sent, err
}

// send makes passes from the source to the target. Both ways, each is followed by one back, which
// brings the source the very bytes that it holds.
func (t *transfer) send(ctx context.Context) error {
	for first := true; ; first = false {
		if t.bidirectional && !first {
			if err := t.backward(ctx); err != nil {
				return err
			}
		}
		enough, err := t.forward(ctx)
		if err == nil && (enough || t.bidirectional) {
			err = t.drain(ctx)
		}
		if err != nil || enough {
			return err
		}
	}
}

// forward makes one pass, or what is missing of it to be enough.
func (t *transfer) forward(ctx context.Context) (enough bool, err error) {
	perPass := t.pass.Count()
	for m := range t.pass.Messages() {
		if err := t.queue(ctx, t.holder.source.slice(m.From, m.Length), t.holder.target.slice(m.To, m.Length)); err != nil {
			return false, err
		}
		t.forwarded++
		if t.stop.Enough(t.forwarded, perPass, time.Now) {
			return true, nil
		}
	}
	return false, nil
}

func (t *transfer) backward(ctx context.Context) error {
	for m := range t.pass.Messages() {
		if err := t.queue(ctx, t.holder.target.slice(m.To, m.Length), t.holder.source.slice(m.From, m.Length)); err != nil {
			return err
		}
	}
	return t.drain(ctx)
}

// queue deals a message to the flow whose turn it is.
func (t *transfer) queue(ctx context.Context, from, to rdma.Slice) error {
	flows := t.holder.flows
	f := flows[int(t.sent.Operations)%len(flows)]
	if len(f.batch) == batchLength {
		if err := t.flush(ctx, f); err != nil {
			return err
		}
	}
	f.queue(from, to)
	t.sent.Operations++
	t.sent.Bytes += uint64(from.Length)
	t.counter.Add(from.Length)
	return nil
}

// drain sends what is queued and waits until all has arrived.
func (t *transfer) drain(ctx context.Context) error {
	for _, f := range t.holder.flows {
		if err := t.flush(ctx, f); err != nil {
			return err
		}
	}
	for t.underWay() {
		if err := t.progress(ctx); err != nil {
			return err
		}
	}
	return nil
}

// flush posts a flow's batch as soon as there is room for it.
func (t *transfer) flush(ctx context.Context, f *flow) error {
	for !f.canPost() {
		if err := t.progress(ctx); err != nil {
			return err
		}
	}
	return f.post()
}

func (t *transfer) underWay() bool {
	for _, f := range t.holder.flows {
		if f.done() < f.posted {
			return true
		}
	}
	return false
}

// stuckAfter is how long nothing may arrive. Retries of a lossy link take
// seconds.
const stuckAfter = 30 * time.Second

// progress waits for completions and takes them into account. A device that is
// removed meanwhile ends the wait.
func (t *transfer) progress(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, stuckAfter)
	defer cancel()
	n, err := t.holder.cq.Wait(bounded, t.completions[:])
	if err != nil && bounded.Err() != nil && ctx.Err() == nil {
		return fmt.Errorf("no RDMA completion for %v on %s: the link has stopped; look at its port's state", stuckAfter, t.holder.info.Name)
	}
	if err != nil {
		return err
	}
	for i := range t.completions[:n] {
		if err := t.holder.complete(&t.completions[i]); err != nil {
			return t.holder.explain(err)
		}
	}
	return nil
}
