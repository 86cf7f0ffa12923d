package umem

import "umemstress/rdma"

// flow is a pair of connected queue pairs and what is under way between them.
type flow struct {
	sender, receiver *rdma.QP
	reads            bool   // messages are RDMA READs by the sender, not WRITEs
	posted, done     uint64 // messages
	batch            []rdma.Request
}

const (
	// sendDepth is how many messages of a flow are under way at most: perftest's
	// default.
	sendDepth = 128
	// batchLength is how many messages one doorbell announces and one completion
	// answers: two batches fit, so the queue does not run dry meanwhile.
	batchLength = sendDepth / 2
)

func newFlow(pd *rdma.PD, cq *rdma.CQ, path rdma.Path, reads bool) (*flow, error) {
	f := &flow{reads: reads, batch: make([]rdma.Request, 0, batchLength)}
	var err error
	config := rdma.QPConfig{Type: rdma.RC, SendCQ: cq, MaxSend: sendDepth}
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
	r := rdma.Request{ID: f.posted + uint64(len(f.batch))}
	if f.reads {
		r.Op = rdma.OpRead
		from, fromOffset, to, toOffset = to, toOffset, from, fromOffset // the bytes come to what is local
	}
	r.Local = rdma.Slice{MR: from, Offset: int(fromOffset), Length: length}
	r.RemoteAddr, r.RKey = to.Addr()+uint64(toOffset), to.RKey()
	f.batch = append(f.batch, r)
}

// canPost says whether the batch fits behind what is under way.
func (f *flow) canPost() bool {
	return int(f.posted-f.done)+len(f.batch) <= sendDepth
}

// post sends the batch. Its last message asks for the completion of all, since
// requests complete in order.
func (f *flow) post() error {
	if len(f.batch) == 0 {
		return nil
	}
	f.batch[len(f.batch)-1].Signaled = true
	n, err := f.sender.PostAll(f.batch)
	f.posted += uint64(n)
	f.batch = f.batch[:0]
	return err
}

// complete takes a completion of the flow into account.
func (f *flow) complete(c *rdma.Completion) error {
	f.done = c.ID + 1
	return c.Err()
}
