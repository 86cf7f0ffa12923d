package workload

import (
	"context"
	"fmt"
	"time"

	"umemstress/rdma"
)

// transfer is one write phase: messages dealt to the flows in turn.
type transfer struct {
	holder *rdmaHolder
	pass   pass
	stop   stopRule

	sent        Traffic
	completions [16]rdma.Completion
}

// run sends until the stop rule is content and returns when all has arrived.
func (t *transfer) run(ctx context.Context) (Traffic, error) {
	started := time.Now()
	err := t.send(ctx)
	for _, f := range t.holder.flows {
		if err == nil {
			err = t.flush(ctx, f)
		}
	}
	for err == nil && t.underWay() {
		err = t.progress(ctx)
	}
	t.sent.Seconds = time.Since(started).Seconds()
	return t.sent, err
}

func (t *transfer) send(ctx context.Context) error {
	perPass := t.pass.count()
	flows := t.holder.flows
	for {
		for m := range t.pass.messages() {
			f := flows[int(t.sent.Operations)%len(flows)]
			if len(f.batch) == batchLength {
				if err := t.flush(ctx, f); err != nil {
					return err
				}
			}
			f.queue(t.holder.source, t.holder.target, m)
			t.sent.Operations++
			t.sent.Bytes += uint64(m.length)
			if t.stop.enough(int(t.sent.Operations), perPass, time.Now) {
				return nil
			}
		}
	}
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
		if f.done < f.posted {
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
		c := &t.completions[i]
		if err := t.holder.bySender[c.QPN].complete(c); err != nil {
			return t.holder.explain(err)
		}
	}
	return nil
}
