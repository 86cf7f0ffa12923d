package umem

import (
	"context"
	"errors"
	"time"

	"umemstress/rdma"
	"umemstress/workload/holder"
	"umemstress/workload/holder/umem/end"
	"umemstress/workload/latency"
	"umemstress/workload/record"
)

// transfer is one write phase: orders to both ends, one after the other.
type transfer struct {
	source, target side
	config         end.Config // of the target
	pass           holder.Pass
	bidirectional  bool
	stores         func() (record.Traffic, error) // a pass that the processor makes; nil: it is the devices' to make
	stop           holder.StopRule
	counter        *holder.Progress
	took           *latency.Histogram          // nil: nobody asks
	overwriting    func(context.Context) error // before a further pass; nil: nobody minds

	sent      record.Traffic
	orders    uint64        // that were given
	forwarded int           // messages of sent from the source to the target
	paused    time.Duration // of overwriting
}

// orderTime is how long an order takes: what is under way comes to rest between two of them, and
// who looks at the progress sees no more of it.
const orderTime = 100 * time.Millisecond

// orderBytes is how many an order moves at most: so many are under way while an answer is waited for.
const orderBytes = 256 << 20

// run sends until the stop rule is content and returns when all has arrived.
func (t *transfer) run(ctx context.Context) (record.Traffic, error) {
	started := time.Now()
	err := t.send(ctx)
	t.sent.Seconds = (time.Since(started) - t.paused).Seconds()
	if err == nil && t.took != nil {
		err = t.collect(ctx)
	}
	return t.sent, err
}

// collect adds up what both ends have timed.
func (t *transfer) collect(ctx context.Context) error {
	for _, s := range []side{t.source, t.target} {
		counts, err := s.Latencies(ctx)
		if err == nil {
			err = t.took.Merge(counts)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// send makes passes from the source to the target. Both ways, each is followed by one back, which
// brings the source the very bytes that it holds.
func (t *transfer) send(ctx context.Context) error {
	perPass := t.pass.Count()
	for {
		n := perPass
		if first := t.forwarded == 0; !first && t.stop.Messages > 0 {
			n = min(n, t.stop.Messages-t.forwarded)
		}
		if err := t.forward(ctx, n); err != nil {
			return err
		}
		t.forwarded += n
		if t.stop.Enough(t.forwarded, perPass, time.Now) {
			return nil
		}
		if err := t.pause(ctx); err != nil {
			return err
		}
		if t.bidirectional {
			if err := t.messages(ctx, perPass, true); err != nil {
				return err
			}
		}
	}
}

// forward brings the first messages of a pass into the target. Where the device may only read that, the processor
// brings all, and the device reads them at once: so that it has used the region even if there is one pass.
func (t *transfer) forward(ctx context.Context, n int) error {
	if t.stores == nil {
		return t.messages(ctx, n, false)
	}
	stored, err := t.stores()
	t.sent.Operations += stored.Operations
	t.sent.Bytes += stored.Bytes
	t.counter.Add(int(stored.Operations), stored.Bytes)
	if err != nil {
		return err
	}
	return t.messages(ctx, t.pass.Count(), true)
}

// pause has somebody look at what has arrived before the next pass brings the same bytes again. It is
// no time of the traffic's.
func (t *transfer) pause(ctx context.Context) error {
	if t.overwriting == nil {
		return nil
	}
	began := time.Now()
	defer func() { t.paused += time.Since(began) }()
	return t.overwriting(ctx)
}

// messages moves the first messages of a pass, or brings them back.
func (t *transfer) messages(ctx context.Context, n int, back bool) error {
	sender, receiver := t.source, t.target
	if t.config.Sends(back) {
		sender, receiver = t.target, t.source
	}
	order := end.Order{Within: orderTime}
	for n > 0 {
		order.First, order.Messages = t.sent.Operations, min(n, max(1, orderBytes/t.pass.Size))
		order.Turn, t.orders = t.orders, t.orders+1
		if t.config.Receives() {
			order.Messages, order.Within = min(order.Messages, t.expectable()), 0
			if err := receiver.Expect(ctx, order); err != nil {
				return err
			}
		}
		began := time.Now()
		done, err := sender.Send(ctx, order)
		if err == nil && t.config.Receives() {
			err = receiver.Await(ctx)
		}
		t.count(done, time.Since(began))
		if err != nil {
			return t.explain(err, receiver)
		}
		n -= done.Messages
		order.To = done.To
	}
	return nil
}

// expectable is how many messages an order has at most that takes as long as they do.
func (t *transfer) expectable() int {
	most := t.config.MostReceives()
	if !t.config.Acknowledged() { // nothing else keeps what is under way within bounds
		pairs := t.config.QueuePairs
		if t.config.SRQ { // of which one is used at a time
			pairs = 1
		}
		most = min(most, pairs*t.config.Depth)
	}
	if t.config.RateLimit > 0 {
		most = min(most, max(1, int(t.config.RateLimit/int64(t.pass.Size))))
	}
	return most
}

// explain adds what a receiver of this process knows of why nothing could be sent to it.
func (t *transfer) explain(err error, receiver side) error {
	local, ok := receiver.(here)
	if !ok || !t.config.Receives() {
		return err
	}
	// Not the transfer's context, which may be what has ended it.
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	var failed *rdma.CompletionError
	if why := local.Await(ctx); errors.As(why, &failed) {
		return errors.Join(err, why)
	}
	return err
}

func (t *transfer) count(d end.Done, took time.Duration) {
	t.sent.Operations += uint64(d.Messages)
	t.sent.Bytes += d.Bytes
	t.sent.PeakBytesPerSecond = max(t.sent.PeakBytesPerSecond, float64(d.Bytes)/max(took, time.Nanosecond).Seconds())
	t.counter.Add(d.Messages, d.Bytes)
}
