package end

import (
	"context"
	"errors"
	"fmt"
	"time"

	"umemstress/rdma"
	"umemstress/workload/holder"
)

// Order is a run of messages of a pass. What an end receives, it has to be told before the
// other one is told to send: a message that finds no receive is tried again, by rdma_rxe of 5.10
// without a pause.
type Order struct {
	// First is the number of the first message among all of both directions, which says through
	// which queue pairs they go.
	First uint64 `json:"first"`
	// Turn is the number of the order, which says through which queue pair all go that take receives in common: these are
	// taken in the order in which messages come, which they keep within a queue pair alone.
	Turn     uint64        `json:"turn"`
	To       int64         `json:"to"`        // where the first is of the target's region, in bytes
	Messages int           `json:"messages"`  // at most; they end with the pass
	Within   time.Duration `json:"within_ns"` // no more are begun then; 0: it does not matter
}

// check refuses an order that no end gives.
func (o Order) check() error {
	if o.To < 0 || o.Messages < 0 {
		return fmt.Errorf("%d messages at %d are none", o.Messages, o.To)
	}
	return nil
}

// Done is how far an order was carried out.
type Done struct {
	Messages int    `json:"messages"`
	Bytes    uint64 `json:"bytes"`
	To       int64  `json:"to"` // where the next message is; at the end of the target's region the pass is over
}

// MostReceives is how many messages an end so opened can expect at once.
func (c Config) MostReceives() int {
	if c.SRQ {
		return receiveDepth
	}
	return c.QueuePairs * receiveDepth
}

// pair is through which queue pair the n-th message of an order goes.
func (e *End) pair(o Order, n int) *pair {
	at := o.First + uint64(n)
	if e.config.SRQ {
		at = o.Turn
	}
	return e.pairs[at%uint64(len(e.pairs))]
}

// Send sends messages, and returns when they are done as far as this end knows.
func (e *End) Send(ctx context.Context, o Order) (Done, error) {
	done, err := e.send(ctx, o)
	for _, p := range e.pairs {
		if err == nil {
			err = e.flush(ctx, p)
		}
	}
	for err == nil && e.underWay() {
		err = e.progress(ctx)
	}
	if err == nil {
		// Completions tell nothing of a port that is down, or of a queue pair that broke down after them.
		return done, e.context.Alive()
	}
	return done, e.explain(err)
}

func (e *End) send(ctx context.Context, o Order) (Done, error) {
	done := Done{To: o.To}
	if err := o.check(); err != nil {
		return done, err
	}
	began, count := time.Now(), e.count(o)
	for m := range e.pass.From(o.To) {
		if done.Messages == o.Messages || done.Messages > 0 && o.Within > 0 && time.Since(began) >= o.Within {
			break
		}
		if err := e.keepPace(ctx, m.Length); err != nil {
			return done, err
		}
		p := e.pair(o, done.Messages)
		if len(p.batch) == cap(p.batch) {
			if err := e.flush(ctx, p); err != nil {
				return done, err
			}
		}
		addr, key, err := e.theirs.at(e.otherOffset(m), m.Length)
		if err != nil {
			return done, err
		}
		p.queue(m, e.mine.slice(e.offset(m), m.Length), addr, key, e.takesReceive(done.Messages, count))
		done.Messages++
		done.Bytes += uint64(m.Length)
		done.To = m.To + int64(m.Length)
	}
	return done, nil
}

// Expect makes receives ready for messages, which are no more than Config.MostReceives.
func (e *End) Expect(o Order) error {
	if err := o.check(); err != nil {
		return err
	}
	if most := e.config.MostReceives(); o.Messages > most {
		return fmt.Errorf("%d messages cannot be expected at once, but %d", o.Messages, most)
	}
	n, count := 0, e.count(o)
	for m := range e.pass.From(o.To) {
		if n == count {
			break
		}
		if e.takesReceive(n, count) {
			e.pair(o, n).inbox.expect(e.mine.slice(e.offset(m), m.Length))
		}
		n++
	}
	for _, b := range e.inboxes {
		if err := b.ready(); err != nil {
			return e.explain(err)
		}
	}
	return nil
}

// marks says whether the last messages of an order take a receive, and no others: nobody acknowledges what arrives, nor
// does the verb tell of it.
func (e *End) marks() bool { return !e.config.Acknowledged() && !e.verb.receives }

// count is how many messages an order is at most or, where it matters which are the last, exactly.
func (e *End) count(o Order) int {
	if !e.marks() {
		return o.Messages
	}
	n := 0
	for range e.pass.From(o.To) {
		if n == o.Messages {
			break
		}
		n++
	}
	return n
}

// takesReceive says whether the n-th of so many messages of an order does: each, where the verb has it, or the last
// one of each queue pair. They go through the queue pairs in turn.
func (e *End) takesReceive(n, of int) bool {
	return e.verb.receives || e.marks() && n+len(e.pairs) >= of
}

// droppedAfter is how long no message may arrive of those that were sent, where nothing repeats them: longer than
// an emulated machine stands still. What is on its way then is dropped.
const (
	droppedAfter  = 5 * time.Second
	slowestArrive = 10 << 20 // bytes a second
)

// Await returns when all that is expected is here.
func (e *End) Await(ctx context.Context) error {
	silence := droppedAfter + time.Duration(e.pass.Size/slowestArrive)*time.Second
	for e.missing() > 0 {
		var err error
		if e.config.Acknowledged() {
			err = e.progress(ctx)
		} else if err = e.progressWithin(ctx, silence); errors.Is(err, errSilence) {
			err = droppedError(e.missing())
		}
		if err != nil {
			return e.explain(err)
		}
	}
	return nil
}

// missing is how many messages are expected and not here.
func (e *End) missing() (n uint64) {
	for _, b := range e.inboxes {
		n += b.missing()
	}
	return n
}

// flush posts a queue pair's batch as soon as there is room for it, which devices can have less of than they granted.
func (e *End) flush(ctx context.Context, p *pair) error {
	for {
		if p.canPost() {
			err := p.post()
			if !errors.Is(err, rdma.ErrQueueFull) {
				return err
			}
			if !p.answers() {
				return fmt.Errorf("%w with %d of the %d messages under way that it was made for: give a smaller --tx-depth", err, p.posted-p.sent, p.depth)
			}
		}
		if err := e.progress(ctx); err != nil {
			return err
		}
	}
}

func (e *End) underWay() bool {
	for _, p := range e.pairs {
		if p.sent < p.posted {
			return true
		}
	}
	return false
}

// offset is where a message is of this end's region.
func (e *End) offset(m holder.Message) int64 {
	if e.config.Side == Source {
		return m.From
	}
	return m.To
}

func (e *End) otherOffset(m holder.Message) int64 {
	if e.config.Side == Source {
		return m.To
	}
	return m.From
}

// at is the address and the key of bytes of the region, of which no message reaches over the end
// of a piece (holder.Pass).
func (r Region) at(offset int64, length int) (addr uint64, key uint32, err error) {
	i := offset / max(r.PieceBytes, 1)
	within := offset % max(r.PieceBytes, 1)
	if offset < 0 || i >= int64(len(r.Pieces)) || within+int64(length) > r.PieceBytes {
		return 0, 0, fmt.Errorf("the %d bytes at %d are not within the other end's %d regions of %d bytes", length, offset, len(r.Pieces), r.PieceBytes)
	}
	return r.Pieces[i].Addr + uint64(within), r.Pieces[i].RKey, nil
}
