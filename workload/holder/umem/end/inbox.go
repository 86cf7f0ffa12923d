package end

import (
	"fmt"

	"umemstress/rdma"
	"umemstress/workload/internal/fault"
)

// inbox is where messages are received, and what is known of those that the other end receives of the same queue pair.
type inbox struct {
	post func([]rdma.Receive) (int, error)

	announced          uint64 // messages from here that take a receive there
	expected, received uint64 // messages that have a receive, and those that are here
	batch              []rdma.Receive

	headers  *headers
	pieces   int  // of a message
	imm      bool // each has an immediate
	reliable bool // none is dropped
}

const (
	// receiveDepth is how many messages of a connection have a receive at most.
	receiveDepth = 128
	// ofReceive is set in the ID of a receive, whose completions come from the same queue as those of
	// requests.
	ofReceive = 1 << 63
)

func newInbox(c Config, h *headers, post func([]rdma.Receive) (int, error)) *inbox {
	v := verbNamed(c.Verb)
	return &inbox{post: post, headers: h, pieces: max(1, c.Pieces), imm: v.imm || !v.receives, reliable: c.transport().Reliable()}
}

// immediate is what goes with the n-th message that takes a receive, where the verb has one.
func immediate(n uint64) uint32 { return uint32(n) ^ 0xa5a5a5a5 }

// announce is the immediate of the next message that takes a receive of the other end.
func (b *inbox) announce() uint32 {
	b.announced++
	return immediate(b.announced - 1)
}

// expect notes that a message will be received there.
func (b *inbox) expect(mine rdma.Slice) {
	r := rdma.Receive{ID: ofReceive | b.expected + uint64(len(b.batch))}
	r.Local, r.More = divide(mine, b.pieces, spare(b.batch, func(r *rdma.Receive) []rdma.Slice { return r.More }))
	b.headers.put(&r)
	b.batch = append(b.batch, r)
}

// ready has memory for what is expected.
func (b *inbox) ready() error {
	if len(b.batch) == 0 {
		return nil
	}
	n, err := postParts(b.post, b.batch)
	b.expected += uint64(n)
	b.batch = b.batch[:0]
	return err
}

// take takes the completion of a receive into account.
func (b *inbox) take(c *rdma.Completion) error {
	id := c.ID &^ ofReceive
	if err := c.Err(); err != nil {
		b.received = id + 1
		return err
	}
	if missing := immediate(0) ^ c.Imm - uint32(id); c.WithImm && b.imm && !b.reliable && missing > 0 && missing < receiveDepth {
		return droppedError(uint64(missing)) // which were in front of it
	}
	if c.WithImm != b.imm || c.WithImm && c.Imm != immediate(id) {
		return fmt.Errorf("the completion of message %d on queue pair %d has not the immediate that was sent with it", id, c.QPN)
	}
	b.received = id + 1
	return nil
}

// missing is how many messages are expected and not here.
func (b *inbox) missing() uint64 { return b.expected - b.received }

// droppedError is of messages that an unreliable connection did not bring. What else it brings is not where it was
// to be: the run cannot go on, and has shown nothing.
func droppedError(n uint64) error {
	return fault.Ineffectivef("%d messages, or more, were dropped on their way: an unreliable connection repeats nothing; give a smaller --tx-depth or a --rate-limit, or --connection RC", n)
}
