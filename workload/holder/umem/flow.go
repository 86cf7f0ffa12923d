package umem

import "umemstress/rdma"

// flow is a pair of connected queue pairs and what is under way between them.
type flow struct {
	sender, receiver *rdma.QP
	op               rdma.Op
	posted           uint64 // messages
	sent, received   uint64 // of these
	batch            []rdma.Request
	receives         []rdma.Receive // for the messages of a batch of OpSend
}

const (
	// sendDepth is how many messages of a flow are under way at most: perftest's
	// default.
	sendDepth = 128
	// batchLength is how many messages one doorbell announces and one completion
	// answers: two batches fit, so the queue does not run dry meanwhile.
	batchLength = sendDepth / 2
)

func newFlow(pd *rdma.PD, cq *rdma.CQ, path rdma.Path, op rdma.Op) (*flow, error) {
	f := &flow{op: op, batch: make([]rdma.Request, 0, batchLength)}
	var err error
	config := rdma.QPConfig{Type: rdma.RC, SendCQ: cq, MaxSend: sendDepth}
	if op == rdma.OpSend {
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

// queue adds a message to the batch, which has room: length bytes from one region
// at an offset into another.
func (f *flow) queue(from *rdma.MR, fromOffset int64, to *rdma.MR, toOffset int64, length int) {
	r := rdma.Request{ID: f.posted + uint64(len(f.batch)), Op: f.op}
	source := rdma.Slice{MR: from, Offset: int(fromOffset), Length: length}
	sink := rdma.Slice{MR: to, Offset: int(toOffset), Length: length}
	switch f.op {
	case rdma.OpSend:
		r.Local = source
		f.receives = append(f.receives, rdma.Receive{ID: r.ID, Local: sink})
	case rdma.OpRead:
		r.Local = sink
		r.RemoteAddr, r.RKey = from.Addr()+uint64(fromOffset), from.RKey()
	default:
		r.Local = source
		r.RemoteAddr, r.RKey = to.Addr()+uint64(toOffset), to.RKey()
	}
	f.batch = append(f.batch, r)
}

// canPost says whether the batch fits behind what is under way.
func (f *flow) canPost() bool {
	return int(f.posted-f.done())+len(f.batch) <= sendDepth
}

// done is how many messages have arrived, as far as both sides know.
func (f *flow) done() uint64 {
	if f.op == rdma.OpSend {
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
	if f.op == rdma.OpSend {
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
	return c.Err()
}
