package umem

import (
	"fmt"

	"umemstress/rdma"
)

// flow is a pair of connected queue pairs and what is under way between them.
type flow struct {
	sender, receiver *rdma.QP
	verb             verb
	posted           uint64 // messages
	sent, received   uint64 // of these
	batch            []rdma.Request
	receives         []rdma.Receive // for the messages of the batch, where they take some
}

const (
	// sendDepth is how many messages of a flow are under way at most: perftest's
	// default.
	sendDepth = 128
	// batchLength is how many messages one doorbell announces and one completion
	// answers: two batches fit, so the queue does not run dry meanwhile.
	batchLength = sendDepth / 2
)

func newFlow(pd *rdma.PD, cq *rdma.CQ, path rdma.Path, v verb) (*flow, error) {
	f := &flow{verb: v, batch: make([]rdma.Request, 0, batchLength)}
	var err error
	config := rdma.QPConfig{Type: rdma.RC, SendCQ: cq, MaxSend: sendDepth}
	if v.receives {
		f.receives = make([]rdma.Receive, 0, batchLength)
		config.MaxRecv = sendDepth
	}
	if f.sender, err = pd.CreateQP(config); err != nil {
		return nil, err
	}
	if f.receiver, err = pd.CreateQP(config); err != nil {
		return nil, err
	}
	return f, rdma.ConnectLoopback(f.sender, f.receiver, path)
}

// queue adds a message to the batch, which has room: as many bytes from one region into another.
func (f *flow) queue(from, to rdma.Slice) {
	r := rdma.Request{ID: f.posted + uint64(len(f.batch)), Op: f.verb.op}
	r.Imm = immediate(r.ID)
	here, there := from, to
	if f.verb.op == rdma.OpRead {
		here, there = to, from
	}
	r.Local, r.RemoteAddr, r.RKey = here, there.MR.Addr()+uint64(there.Offset), there.MR.RKey()
	if f.verb.receives {
		f.receives = append(f.receives, rdma.Receive{ID: r.ID, Local: to})
	}
	f.batch = append(f.batch, r)
}

// immediate is what goes with a message of a verb that has one.
func immediate(id uint64) uint32 { return uint32(id) ^ 0xa5a5a5a5 }

// canPost says whether the batch fits behind what is under way.
func (f *flow) canPost() bool {
	return int(f.posted-f.done())+len(f.batch) <= sendDepth
}

// done is how many messages have arrived, as far as both sides know.
func (f *flow) done() uint64 {
	if f.verb.receives {
		return min(f.sent, f.received)
	}
	return f.sent
}

// post sends the batch. Its last message asks for the completion of all, since
// requests complete in order. What is received into is posted first: a message that finds
// nothing is tried again, by rdma_rxe of 5.10 without a pause.
func (f *flow) post() error {
	if len(f.batch) == 0 {
		return nil
	}
	if f.verb.receives {
		if _, err := f.receiver.PostReceives(f.receives); err != nil {
			return err
		}
		f.receives = f.receives[:0]
	}
	f.batch[len(f.batch)-1].Signaled = true
	n, err := f.sender.PostAll(f.batch)
	f.posted += uint64(n)
	f.batch = f.batch[:0]
	return err
}

// complete takes a completion of a request into account.
func (f *flow) complete(c *rdma.Completion) error {
	f.sent = c.ID + 1
	return c.Err()
}

// arrive takes a completion of a receive into account.
func (f *flow) arrive(c *rdma.Completion) error {
	f.received = c.ID + 1
	if err := c.Err(); err != nil {
		return err
	}
	if c.WithImm != f.verb.imm || c.WithImm && c.Imm != immediate(c.ID) {
		return fmt.Errorf("the completion of message %d on queue pair %d has not the immediate that was sent with it", c.ID, c.QPN)
	}
	return nil
}
