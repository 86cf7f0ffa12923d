package end

import (
	"encoding/binary"
	"fmt"

	"umemstress/rdma"
	"umemstress/workload/holder"
	"umemstress/workload/internal/memory"
)

// ledger is what an end that makes atomic operations knows of the other one's region, number by number:
// what it has brought there, and so what the next operation there is to find.
type ledger struct {
	mine    []byte         // this end's region, whose numbers are to be there
	theirs  *memory.Region // what is there; nothing but zeroes at first
	results *memory.Region // where operations under way leave what they found, a number for each
	mr      *rdma.MR       // of results
}

// slots is how many results a queue pair takes: of what is under way, and of the batch that is filled
// meanwhile.
func slots(depth int) int { return depth + batchLength(depth) }

// newLedger makes one with so many results.
func newLedger(pd *rdma.PD, mine []byte, results int) (l *ledger, err error) {
	l = &ledger{mine: mine}
	if l.results, err = memory.MapAnonymous(results * rdma.AtomicBytes); err != nil {
		return nil, err
	}
	l.mr, err = pd.RegisterMR(l.results.Bytes, rdma.AccessLocalWrite)
	return l, err
}

// begin is told how large the other region is.
func (l *ledger) begin(bytes int64) (err error) {
	if l == nil {
		return nil
	}
	l.theirs, err = memory.MapAnonymous(int(bytes))
	return err
}

// release deregisters what the results are in.
func (l *ledger) release() error {
	if l == nil || l.mr == nil {
		return nil
	}
	return l.mr.Close()
}

// close may be called at any time, after the results were deregistered.
func (l *ledger) close() error {
	if l == nil {
		return nil
	}
	err := l.results.Close()
	if closed := l.theirs.Close(); err == nil {
		err = closed
	}
	return err
}

// found is what an operation is to find, and where.
type found struct {
	at   int64 // in the other end's region
	want uint64
}

// fill makes a request of a message one that makes the number there what it is here, and leaves what it
// found in a slot of the results.
func (l *ledger) fill(r *rdma.Request, m holder.Message, slot int) found {
	there := l.theirs.Bytes[m.To:][:rdma.AtomicBytes]
	f := found{at: m.To, want: binary.NativeEndian.Uint64(there)}
	number := binary.NativeEndian.Uint64(l.mine[m.From:])
	r.Local = rdma.Slice{MR: l.mr, Offset: slot * rdma.AtomicBytes, Length: rdma.AtomicBytes}
	if r.CompareAdd, r.Swap = f.want, number; r.Op == rdma.OpFetchAdd {
		r.CompareAdd, r.Swap = number-f.want, 0
	}
	binary.NativeEndian.PutUint64(there, number)
	return f
}

// check says of an operation that is done whether it found what it was to find.
func (l *ledger) check(f found, slot int) error {
	if was := binary.NativeEndian.Uint64(l.results.Bytes[slot*rdma.AtomicBytes:]); was != f.want {
		return fmt.Errorf("an atomic operation found %#x at byte %d of the file's region, where %#x had been brought: somebody else wrote there, or the device does not do it right", was, f.at, f.want)
	}
	return nil
}

// keep has the pair make atomic operations, whose results are in the slots from that one on.
func (p *pair) keep(l *ledger, slot int) {
	p.ledger, p.slot, p.finds = l, slot, make([]found, slots(p.depth))
}

// check looks at what operations up to that one have found, of which the first is the last that was
// known to be done.
func (p *pair) check(last uint64) error {
	if p.ledger == nil {
		return nil
	}
	for id := p.sent; id <= last; id++ {
		at := int(id % uint64(len(p.finds)))
		if err := p.ledger.check(p.finds[at], p.slot+at); err != nil {
			return err
		}
	}
	return nil
}
