package rdma

import (
	"testing"

	"umemstress/rdma/internal/verbs"
)

// sink is a queue pair that takes everything and does nothing.
type sink struct{}

func (sink) Number() uint32                                  { return 1 }
func (sink) Modify(verbs.QPAttr) error                       { return nil }
func (sink) Post(wrs []verbs.WR) (int, error)                { return len(wrs), nil }
func (sink) PostReceives(wrs []verbs.ReceiveWR) (int, error) { return len(wrs), nil }
func (sink) BindMW(b verbs.Bind) (uint32, error)             { return b.MW.RKey + 1, nil }
func (sink) Destroy() error                                  { return nil }

// BenchmarkPostAll is what this package itself does of a batch of 64.
func BenchmarkPostAll(b *testing.B) {
	mr := &MR{mem: make([]byte, 4096)}
	qp := &QP{pair: sink{}}
	qp.room(defaultMaxSend)
	batch := make([]Request, defaultMaxSend/2)
	for i := range batch {
		batch[i] = Request{ID: uint64(i), Local: Slice{MR: mr, Length: 4096}}
	}
	b.ReportAllocs()
	for b.Loop() {
		if n, err := qp.PostAll(batch); n != len(batch) || err != nil {
			b.Fatal(n, err)
		}
	}
}

// spring is a completion queue that always has one more.
type spring struct{ verbs.CQ }

func (spring) Poll(wc []verbs.Completion) (int, error) {
	wc[0] = verbs.Completion{ID: 1}
	return 1, nil
}

// BenchmarkPoll is what this package itself does of one completion.
func BenchmarkPoll(b *testing.B) {
	q := &CQ{queue: spring{}}
	wc := make([]Completion, 1)
	b.ReportAllocs()
	for b.Loop() {
		if n, err := q.Poll(wc); n != 1 || err != nil {
			b.Fatal(n, err)
		}
	}
}

// grant is a backend that grants every region at once.
type grant struct{ verbs.Backend }

func (grant) AllocPD() (verbs.Handle, error) { return 1, nil }
func (grant) RegisterMR(verbs.Handle, []byte, verbs.Access) (verbs.MR, error) {
	return verbs.MR{}, nil
}
func (grant) RegisterMRs(_ verbs.Handle, mems [][]byte, _ verbs.Access, _ []verbs.MR) (int, error) {
	return len(mems), nil
}
func (grant) DeregisterMR(verbs.Handle) error { return nil }

// BenchmarkRegisterMR is what this package itself does of a region's pin and
// release.
func BenchmarkRegisterMR(b *testing.B) {
	pd, err := newContext(Device{}, grant{}).AllocPD()
	if err != nil {
		b.Fatal(err)
	}
	mem := make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		mr, err := pd.RegisterMR(mem, AccessLocalWrite)
		if err != nil {
			b.Fatal(err)
		}
		if err := mr.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
