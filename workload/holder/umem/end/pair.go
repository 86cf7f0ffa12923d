package end

import (
	"errors"
	"fmt"
	"time"

	"umemstress/rdma"
	"umemstress/workload/holder"
	"umemstress/workload/latency"
)

// pair is this end's queue pair of a connection, and what is under way on it.
type pair struct {
	qp   *rdma.QP
	verb verb

	posted, sent uint64 // messages that this end has asked for, and those that are done
	depth        int    // messages that are under way at most
	batch        []rdma.Request
	begun        int // of the batch, messages that the device has taken
	inbox        *inbox

	pieces int // of a message
	inline int // bytes of messages that go inline

	since []time.Time        // when the batches were posted that are under way, the oldest first
	took  *latency.Histogram // of batches, from then until their completion was seen

	ledger *ledger // of who makes atomic operations; nil: nobody does
	slot   int     // the first of this pair's results
	finds  []found // what operations under way, and of the batch, are to find, by their IDs modulo its length
}

const (
	// DefaultDepth is how many messages of a connection are under way at most, where nobody says
	// otherwise: perftest's default.
	DefaultDepth = 128
	// MaxDepth is the longest queue that can be asked for.
	MaxDepth = 1 << 14
	// MaxReads is how many reads and atomic operations can be asked for to be under way at a time.
	MaxReads = 1<<8 - 1
	// MaxPieces is how many pieces of memory a message can be asked to have, and MaxInline how many bytes of it inline.
	// Devices have limits of their own: rdma_rxe 32, and 400 bytes.
	MaxPieces = 32
	MaxInline = 1 << 12
)

// batchLength is how many messages one doorbell announces and one completion
// answers: two batches fit, so the queue does not run dry meanwhile.
func batchLength(depth int) int { return max(1, depth/2) }

func newPair(pd *rdma.PD, cq *rdma.CQ, c Config, srq *rdma.SRQ, took *latency.Histogram) (p *pair, err error) {
	v := verbNamed(c.Verb)
	p = &pair{verb: v, depth: c.Depth, batch: make([]rdma.Request, 0, batchLength(c.Depth)), took: took, pieces: max(1, c.Pieces), inline: c.Inline}
	if !v.sends() { // what comes in is not inline
		p.inline = 0
	}
	config := rdma.QPConfig{Type: c.transport(), SendCQ: cq, SRQ: srq, MaxSend: c.Depth, Reads: c.Reads, Atomics: v.atomic, MaxPieces: c.receivePieces(), MaxInline: p.inline}
	if c.Receives() {
		config.MaxRecv = receiveDepth
	}
	p.qp, err = pd.CreateQP(config)
	return p, err
}

// queue adds a message to the batch, which has room: bytes of this end's region, and where
// the other end has them. One that takes a receive there, of a verb whose messages do not, has an immediate.
func (p *pair) queue(m holder.Message, mine rdma.Slice, addr uint64, key uint32, takesReceive bool) {
	r := rdma.Request{ID: p.posted + uint64(len(p.batch)), Op: p.verb.op, RemoteAddr: addr, RKey: key, Inline: m.Length <= p.inline}
	r.Local, r.More = divide(mine, p.pieces, spare(p.batch, func(r *rdma.Request) []rdma.Slice { return r.More }))
	if takesReceive {
		r.Imm = p.inbox.announce()
		if !p.verb.receives {
			r.Op = rdma.OpWriteImm
		}
	}
	if p.ledger != nil {
		at := int(r.ID % uint64(len(p.finds)))
		p.finds[at] = p.ledger.fill(&r, m, p.slot+at)
	}
	p.batch = append(p.batch, r)
}

// spare is what the next element had when it was used before.
func spare[T any](batch []T, of func(*T) []rdma.Slice) []rdma.Slice {
	if len(batch) == cap(batch) {
		return nil
	}
	return of(&batch[:len(batch)+1][len(batch)])
}

// divide divides a message's memory into so many pieces, or one for each byte, and puts those behind the first
// where those of an earlier message were.
func divide(whole rdma.Slice, n int, more []rdma.Slice) (first rdma.Slice, _ []rdma.Slice) {
	n = max(1, min(n, whole.Length))
	each, more := whole.Length/n, more[:0]
	first, rest := whole, whole
	if n > 1 {
		first.Length = each
	}
	for i := 1; i < n; i++ {
		rest.Offset, rest.Length = whole.Offset+i*each, each
		if i == n-1 {
			rest.Length = whole.Length - i*each
		}
		more = append(more, rest)
	}
	return first, more
}

// canPost says whether the batch fits behind what is under way.
func (p *pair) canPost() bool { return int(p.posted-p.sent)+len(p.batch)-p.begun <= p.depth }

// post sends what is left of the batch. Its last message asks for the completion of all, since
// requests complete in order.
func (p *pair) post() error {
	if len(p.batch) == 0 {
		return nil
	}
	if p.begun == 0 {
		p.batch[len(p.batch)-1].Signaled = true
		p.since = append(p.since, time.Now()) // before: rdma_rxe of 5.10 moves the bytes within the call
	}
	n, err := postParts(p.qp.PostAll, p.batch[p.begun:])
	p.posted += uint64(n)
	p.begun += n
	if errors.Is(err, rdma.ErrQueueFull) {
		return err
	}
	p.batch, p.begun = p.batch[:0], 0
	return err
}

// answers says whether a completion is due of a batch before this one.
func (p *pair) answers() bool { return len(p.since) > 1 }

// postParts posts again what a device cut short, for as long as it takes any.
func postParts[T any](post func([]T) (int, error), all []T) (n int, err error) {
	for {
		taken, err := post(all[n:])
		n += taken
		if taken == 0 || !errors.Is(err, rdma.ErrQueueFull) {
			return n, err
		}
	}
}

// time notes how long the batch took that a completion answers for. One that failed is none.
func (p *pair) time(c *rdma.Completion) error {
	if err := c.Err(); err != nil || len(p.since) == 0 {
		return err
	}
	p.took.Add(time.Since(p.since[0]))
	p.since = append(p.since[:0], p.since[1:]...)
	return nil
}

// complete takes a completion into account.
func (p *pair) complete(c *rdma.Completion) error {
	if c.ID&ofReceive == 0 {
		if err := p.time(c); err != nil {
			return err
		}
		if c.ID >= p.posted {
			return fmt.Errorf("a completion of message %d came on queue pair %d, of which %d were posted: %w", c.ID, c.QPN, p.posted, errUnasked)
		}
		err := p.check(c.ID)
		p.sent = c.ID + 1
		return err
	}
	return p.inbox.take(c)
}
