package end

import (
	"fmt"

	"umemstress/rdma"
)

// pair is this end's queue pair of a connection, and what is under way on it.
type pair struct {
	qp   *rdma.QP
	verb verb

	posted, sent       uint64 // messages that this end has asked for, and those that are done
	expected, received uint64 // messages that have a receive, and those that are here
	batch              []rdma.Request
	receives           []rdma.Receive
}

const (
	// depth is how many messages of a connection are under way at most: perftest's
	// default.
	depth = 128
	// batchLength is how many messages one doorbell announces and one completion
	// answers: two batches fit, so the queue does not run dry meanwhile.
	batchLength = depth / 2
	// ofReceive is set in the ID of a receive, whose completions come from the same queue as those of
	// requests.
	ofReceive = 1 << 63
)

func newPair(pd *rdma.PD, cq *rdma.CQ, v verb) (*pair, error) {
	p := &pair{verb: v, batch: make([]rdma.Request, 0, batchLength)}
	config := rdma.QPConfig{Type: rdma.RC, SendCQ: cq, MaxSend: depth}
	if v.receives {
		p.receives = make([]rdma.Receive, 0, depth)
		config.MaxRecv = depth
	}
	var err error
	p.qp, err = pd.CreateQP(config)
	return p, err
}

// queue adds a message to the batch, which has room: bytes of this end's region, and where
// the other end has them.
func (p *pair) queue(mine rdma.Slice, addr uint64, key uint32) {
	r := rdma.Request{ID: p.posted + uint64(len(p.batch)), Op: p.verb.op, Local: mine, RemoteAddr: addr, RKey: key}
	r.Imm = immediate(r.ID)
	p.batch = append(p.batch, r)
}

// expect notes that a message will be received there.
func (p *pair) expect(mine rdma.Slice) {
	p.receives = append(p.receives, rdma.Receive{ID: ofReceive | p.expected + uint64(len(p.receives)), Local: mine})
}

// immediate is what goes with a message of a verb that has one.
func immediate(id uint64) uint32 { return uint32(id) ^ 0xa5a5a5a5 }

// canPost says whether the batch fits behind what is under way.
func (p *pair) canPost() bool { return int(p.posted-p.sent)+len(p.batch) <= depth }

// post sends the batch. Its last message asks for the completion of all, since
// requests complete in order.
func (p *pair) post() error {
	if len(p.batch) == 0 {
		return nil
	}
	p.batch[len(p.batch)-1].Signaled = true
	n, err := p.qp.PostAll(p.batch)
	p.posted += uint64(n)
	p.batch = p.batch[:0]
	return err
}

// postReceives makes what is expected ready.
func (p *pair) postReceives() error {
	if len(p.receives) == 0 {
		return nil
	}
	n, err := p.qp.PostReceives(p.receives)
	p.expected += uint64(n)
	p.receives = p.receives[:0]
	return err
}

// complete takes a completion into account.
func (p *pair) complete(c *rdma.Completion) error {
	if c.ID&ofReceive == 0 {
		p.sent = c.ID + 1
		return c.Err()
	}
	id := c.ID &^ ofReceive
	p.received = id + 1
	if err := c.Err(); err != nil {
		return err
	}
	if c.WithImm != p.verb.imm || c.WithImm && c.Imm != immediate(id) {
		return fmt.Errorf("the completion of message %d on queue pair %d has not the immediate that was sent with it", id, c.QPN)
	}
	return nil
}
