package devicecheck

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"umemstress/rdma"
)

// What a run asks of a device by choice alone, such as --verb, --connection and --srq. A device that has
// none of it is of use without.

// absent says whether an error is of what a device does not have. One without atomic operations says EINVAL, and package rdma what
// that means.
func absent(err error) bool {
	var e *rdma.Error
	lacks := errors.As(err, &e) && e.Errno == unix.EINVAL && e.HostLacks()
	return lacks || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPROTONOSUPPORT)
}

// messageBytes fits into a packet of the smallest MTU.
const messageBytes = 200

// errAltered is of bytes that came, and not as they were sent.
var errAltered = errors.New("a message did not arrive as it was, or changed other bytes")

// arrival is how one message goes, and by what it is received.
type arrival struct {
	op       rdma.Op
	from, to *rdma.QP
	receives func([]rdma.Receive) (int, error)
	header   int // bytes in front of what is received
}

// over is a message over a pair that has receives of its own.
func over(pair [2]*rdma.QP, op rdma.Op) arrival {
	return arrival{op: op, from: pair[0], to: pair[1], receives: pair[1].PostReceives}
}

// bring sends a message with an immediate, and holds both completions and the bytes against what they are to be.
func (t *tour) bring(ctx context.Context, a arrival) error {
	const sent, received, immediate = 1, 2, 0xfeed0000
	t.sequence++
	imm := uint32(immediate + t.sequence)
	for i := range messageBytes {
		t.memory[0][i] = byte(i*11 + t.sequence)
	}
	want := bytes.Clone(t.memory[1])
	copy(want[a.header:], t.memory[0][:messageBytes])
	if _, err := a.receives([]rdma.Receive{{ID: received, Local: rdma.Slice{MR: t.to, Length: a.header + messageBytes}}}); err != nil {
		return err
	}
	r := t.request(sent, messageBytes)
	r.Op, r.Imm = a.op, imm
	if err := a.from.Post(r); err != nil {
		return err
	}
	got, err := t.both(ctx)
	if err != nil {
		return err
	}
	if c := got[received]; c.Imm != imm || !c.WithImm || c.QPN != a.to.Address().QPN {
		return fmt.Errorf("a message with the immediate %#x came to queue pair %d as %+v", imm, a.to.Address().QPN, c)
	}
	if !bytes.Equal(t.memory[1][a.header:], want[a.header:]) {
		return errAltered
	}
	return nil
}

// both waits for what both ends of a message complete with, by the requests.
func (t *tour) both(ctx context.Context) (map[uint64]rdma.Completion, error) {
	got := map[uint64]rdma.Completion{}
	for len(got) < 2 {
		var wc [1]rdma.Completion
		if _, err := t.cq.Wait(ctx, wc[:]); err != nil {
			return nil, fmt.Errorf("of a message %d of 2 completions came within %v: %w", len(got), patience, err)
		}
		if err := wc[0].Err(); err != nil {
			return nil, err
		}
		got[wc[0].ID] = wc[0]
	}
	return got, nil
}

// newPair makes two queue pairs and connects them.
func (t *tour) newPair(of rdma.QPConfig) (pair [2]*rdma.QP, err error) {
	of.SendCQ = t.cq
	for i := range pair {
		if pair[i], err = t.pd.CreateQP(of); err != nil {
			return pair, err
		}
	}
	return pair, rdma.ConnectLoopback(pair[0], pair[1], t.path)
}

func (t *tour) immediates(ctx context.Context) (string, error) {
	for _, op := range []rdma.Op{rdma.OpSendImm, rdma.OpWriteImm} {
		if err := t.bring(ctx, over(t.pair, op)); err != nil {
			return "", err
		}
	}
	return "of a message and of a write, each with its bytes", nil
}

// atomics adds to a number, and exchanges the sum.
func (t *tour) atomics(ctx context.Context) (string, error) {
	pair, err := t.newPair(rdma.QPConfig{Atomics: true})
	if err != nil {
		return "", err
	}
	target, err := t.pd.RegisterMR(t.memory[1], access|rdma.AccessRemoteAtomic)
	if err != nil {
		return "", err
	}
	const before, add, swap = 40, 2, 7
	number := t.memory[1][:rdma.AtomicBytes]
	binary.NativeEndian.PutUint64(number, before)
	for _, of := range []struct {
		request      rdma.Request
		found, after uint64
	}{
		{rdma.Request{Op: rdma.OpFetchAdd, CompareAdd: add}, before, before + add},
		{rdma.Request{Op: rdma.OpCompareSwap, CompareAdd: before + add, Swap: swap}, before + add, swap},
	} {
		r := of.request
		r.ID, r.Signaled, r.RemoteAddr, r.RKey = 1, true, target.Addr(), target.RKey()
		r.Local = rdma.Slice{MR: t.from, Length: rdma.AtomicBytes}
		if err := pair[0].Post(r); err != nil {
			return "", err
		}
		if err := t.succeed(ctx, 1); err != nil {
			return "", err
		}
		if found, after := binary.NativeEndian.Uint64(t.memory[0]), binary.NativeEndian.Uint64(number); found != of.found || after != of.after {
			return "", fmt.Errorf("%v found %d and left %d, in place of %d and %d", r.Op, found, after, of.found, of.after)
		}
	}
	return "fetch-and-add, compare-and-swap", target.Close()
}

// dmabuf registers memory of no device, of which udmabuf makes a dma-buf, or asks with what is none.
func (t *tour) dmabuf(context.Context) (string, error) {
	const size = 64 << 10
	fd, is, err := newDMABuf(size)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	err = t.pd.TryDMABuf(fd, size, access)
	if err != nil && !is && (errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EBADF)) {
		return "the device registers some, but this host has none to try (" + udmabuf + ", CONFIG_UDMABUF)", nil
	}
	return fmt.Sprintf("one of %d bytes of udmabuf", size), err
}

// shareReceives has two queue pairs receive from one queue.
func (t *tour) shareReceives(ctx context.Context) (string, error) {
	srq, err := t.pd.CreateSRQ(rdma.SRQConfig{MaxRecv: depth})
	if err != nil {
		return "", err
	}
	const pairs = 2
	for range pairs {
		pair, err := t.newPair(rdma.QPConfig{SRQ: srq})
		if err != nil {
			return "", err
		}
		a := over(pair, rdma.OpSendImm)
		a.receives = srq.PostReceives
		if err := t.bring(ctx, a); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("a queue of %d received for %d queue pairs", depth, pairs), nil
}

func (t *tour) unreliable(ctx context.Context) (string, error) {
	pair, err := t.newPair(rdma.QPConfig{Type: rdma.UC})
	if err != nil {
		return "", err
	}
	for _, op := range []rdma.Op{rdma.OpSendImm, rdma.OpWriteImm} {
		if err := t.bring(ctx, over(pair, op)); err != nil {
			return "", err
		}
	}
	return "a message and a write, each with an immediate", nil
}

func (t *tour) datagrams(ctx context.Context) (string, error) {
	pair, err := t.newPair(rdma.QPConfig{Type: rdma.UD})
	if err != nil {
		return "", err
	}
	a := over(pair, rdma.OpSendImm)
	a.header = rdma.GRHBytes
	return fmt.Sprintf("a message of %d bytes, behind a header of %d", messageBytes, a.header), t.bring(ctx, a)
}
