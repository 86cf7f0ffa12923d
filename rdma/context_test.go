package rdma

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// fake is a backend that counts what lives and insists on the order that the
// kernel insists on.
type fake struct {
	next   handle
	pds    map[handle]int // with the number of users
	cqs    map[*fakeCQ]int
	mrs    map[handle]handle // to their domains
	qps    int
	closed bool
	fail   map[string]error // by operation
}

func newFake() (*fake, *Context) {
	f := &fake{pds: map[handle]int{}, cqs: map[*fakeCQ]int{}, mrs: map[handle]handle{}, fail: map[string]error{}}
	return f, &Context{device: Device{Name: "fake0", Uverbs: "uverbs0", sysfs: "/nonexistent"}, backend: f}
}

func (f *fake) alive() int { return len(f.pds) + len(f.cqs) + len(f.mrs) + f.qps }

func (f *fake) queryPort(int) (portAttributes, error) { return portAttributes{}, unix.ENOSYS }
func (f *fake) fatal() bool                           { return false }

func (f *fake) allocPD() (handle, error) {
	f.next++
	if err := f.fail["allocPD"]; err != nil {
		return 0, err
	}
	f.pds[f.next] = 0
	return f.next, nil
}

func (f *fake) deallocPD(h handle) error {
	if users, ok := f.pds[h]; !ok || users > 0 {
		return unix.EBUSY
	}
	delete(f.pds, h)
	return f.fail["deallocPD"]
}

func (f *fake) registerMR(pd handle, _ []byte, _ Access) (region, error) {
	if err := f.fail["registerMR"]; err != nil {
		return region{}, err
	}
	f.next++
	f.pds[pd]++
	f.mrs[f.next] = pd
	return region{handle: f.next, lkey: 1, rkey: 2}, nil
}

func (f *fake) deregisterMR(h handle) error {
	pd, ok := f.mrs[h]
	if !ok {
		return unix.EINVAL
	}
	f.pds[pd]--
	delete(f.mrs, h)
	return f.fail["deregisterMR"]
}

type fakeCQ struct{ f *fake }

func (f *fake) createCQ(int) (completionQueue, error) {
	q := &fakeCQ{f}
	f.cqs[q] = 0
	return q, nil
}

func (q *fakeCQ) poll([]Completion) int { return 0 }

func (q *fakeCQ) destroy() error {
	if users, ok := q.f.cqs[q]; !ok || users > 0 {
		return unix.EBUSY
	}
	delete(q.f.cqs, q)
	return nil
}

type fakeQP struct {
	f          *fake
	pd         handle
	send, recv *fakeCQ
}

func (f *fake) createQP(pd handle, send, recv completionQueue, _ QPConfig) (queuePair, error) {
	q := &fakeQP{f, pd, send.(*fakeCQ), recv.(*fakeCQ)}
	f.pds[pd]++
	f.cqs[q.send]++
	f.cqs[q.recv]++
	f.qps++
	return q, nil
}

func (q *fakeQP) number() uint32                      { return 17 }
func (q *fakeQP) connect(connection) error            { return nil }
func (q *fakeQP) post(ws []WriteRequest) (int, error) { return min(len(ws), 2), nil }

func (q *fakeQP) destroy() error {
	q.f.pds[q.pd]--
	q.f.cqs[q.send]--
	q.f.cqs[q.recv]--
	q.f.qps--
	return nil
}

func (f *fake) close() error {
	f.closed = true
	return nil
}

// closers makes one of everything and returns how to close each.
func closers(t *testing.T, ctx *Context) []func() error {
	t.Helper()
	pd, err := ctx.AllocPD()
	if err != nil {
		t.Fatal(err)
	}
	send, err := ctx.CreateCQ(4)
	if err != nil {
		t.Fatal(err)
	}
	recv, err := ctx.CreateCQ(4)
	if err != nil {
		t.Fatal(err)
	}
	qp, err := pd.CreateQP(QPConfig{SendCQ: send, RecvCQ: recv})
	if err != nil {
		t.Fatal(err)
	}
	mr, err := pd.RegisterMR(make([]byte, 8), AccessLocalWrite)
	if err != nil {
		t.Fatal(err)
	}
	return []func() error{pd.Close, send.Close, recv.Close, qp.Close, mr.Close, ctx.Close}
}

func TestEveryOrderOfClosing(t *testing.T) {
	const objects = 6
	for order := range orders(objects) {
		f, ctx := newFake()
		closers := closers(t, ctx)
		for _, i := range order {
			if err := errors.Join(closers[i](), closers[i]()); err != nil {
				t.Fatalf("%v: object %d: %v", order, i, err)
			}
		}
		if f.alive() != 0 || !f.closed {
			t.Fatalf("%v: %d objects live on, closed %v", order, f.alive(), f.closed)
		}
	}
}

// Without the context's Close, the objects alone must end too.
func TestObjectsEndWithoutTheirContext(t *testing.T) {
	const objects = 5
	for order := range orders(objects) {
		f, ctx := newFake()
		closers := closers(t, ctx)
		for _, i := range order {
			if err := closers[i](); err != nil {
				t.Fatalf("%v: object %d: %v", order, i, err)
			}
		}
		if f.alive() != 0 || len(ctx.objects) != 0 {
			t.Fatalf("%v: %d objects live on", order, f.alive())
		}
	}
}

// orders yields all permutations of the numbers below n.
func orders(n int) func(func([]int) bool) {
	return func(yield func([]int) bool) {
		var walk func(chosen []int) bool
		walk = func(chosen []int) bool {
			if len(chosen) == n {
				return yield(chosen)
			}
			for i := range n {
				if !slices.Contains(chosen, i) && !walk(append(chosen, i)) {
					return false
				}
			}
			return true
		}
		walk(nil)
	}
}

func TestConcurrentUseAndClose(t *testing.T) {
	f, ctx := newFake()
	pd, err := ctx.AllocPD()
	if err != nil {
		t.Fatal(err)
	}
	cq, err := ctx.CreateCQ(4)
	if err != nil {
		t.Fatal(err)
	}
	qp, err := pd.CreateQP(QPConfig{SendCQ: cq})
	if err != nil {
		t.Fatal(err)
	}
	mr, err := pd.RegisterMR(make([]byte, 8), AccessLocalWrite)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				if _, err := cq.Poll(make([]Completion, 1)); err != nil {
					return
				}
				if err := qp.PostWrite(WriteRequest{Local: Slice{MR: mr}}); errors.Is(err, ErrClosed) {
					return
				}
				if extra, err := pd.RegisterMR(make([]byte, 8), AccessLocalWrite); err == nil {
					_ = extra.Close()
				}
			}
		})
	}
	if err := ctx.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if f.alive() != 0 {
		t.Errorf("%d objects live on", f.alive())
	}
}

func TestPostSaysHowManyFit(t *testing.T) {
	_, ctx := newFake()
	pd, err := ctx.AllocPD()
	if err != nil {
		t.Fatal(err)
	}
	cq, err := ctx.CreateCQ(4)
	if err != nil {
		t.Fatal(err)
	}
	qp, err := pd.CreateQP(QPConfig{SendCQ: cq})
	if err != nil {
		t.Fatal(err)
	}
	mr, err := pd.RegisterMR(make([]byte, 8), AccessLocalWrite)
	if err != nil {
		t.Fatal(err)
	}
	w := WriteRequest{Local: Slice{MR: mr, Length: 8}}
	if n, err := qp.PostWrites([]WriteRequest{w, w, w}); n != 2 || !errors.Is(err, ErrQueueFull) {
		t.Errorf("posted %d, %v", n, err)
	}
	if n, err := qp.PostWrites([]WriteRequest{w, w}); n != 2 || err != nil {
		t.Errorf("posted %d, %v", n, err)
	}
	bad := WriteRequest{Local: Slice{MR: mr, Length: 9}}
	if n, err := qp.PostWrites([]WriteRequest{w, bad}); n != 0 || err == nil {
		t.Errorf("posted %d, %v", n, err)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	_, c := newFake()
	cq, err := c.CreateCQ(1)
	if err != nil {
		t.Fatal(err)
	}
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := cq.Wait(done, make([]Completion, 1)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	// The device of this context is in no sysfs.
	if _, err := cq.Wait(t.Context(), make([]Completion, 1)); !errors.Is(err, ErrDeviceGone) {
		t.Error(err)
	}
	if err := cq.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := cq.Wait(t.Context(), make([]Completion, 1)); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

func TestObjectsOfAnotherContext(t *testing.T) {
	_, one := newFake()
	_, two := newFake()
	pd, err := one.AllocPD()
	if err != nil {
		t.Fatal(err)
	}
	cq, err := two.CreateCQ(1)
	if err != nil {
		t.Fatal(err)
	}
	for _, cfg := range []QPConfig{{SendCQ: cq}, {}} {
		if _, err := pd.CreateQP(cfg); err == nil {
			t.Errorf("%+v is accepted", cfg)
		}
	}
}

func TestFailuresOfTheBackend(t *testing.T) {
	f, ctx := newFake()
	f.fail["allocPD"] = unix.ENOMEM
	if _, err := ctx.AllocPD(); !errors.Is(err, unix.ENOMEM) {
		t.Error(err)
	}
	delete(f.fail, "allocPD")
	pd, err := ctx.AllocPD()
	if err != nil {
		t.Fatal(err)
	}
	f.fail["registerMR"] = unix.EFAULT
	_, err = pd.RegisterMR([]byte{1}, 0)
	if !errors.Is(err, unix.EFAULT) || errors.Is(err, ErrPinRefused) {
		t.Errorf("a region without write access: %v", err)
	}
	if _, err := pd.RegisterMR(nil, 0); err == nil {
		t.Error("an empty region is accepted")
	}
	delete(f.fail, "registerMR")
	mr, err := pd.RegisterMR([]byte{1}, 0)
	if err != nil {
		t.Fatal(err)
	}
	// The PD's end is deferred to the region's Close, and so is its error.
	f.fail["deallocPD"] = unix.EBUSY
	if err := pd.Close(); err != nil {
		t.Error(err)
	}
	if err := mr.Close(); !errors.Is(err, unix.EBUSY) {
		t.Error(err)
	}
	f.fail["deregisterMR"] = unix.EIO // the device is gone, and everything with it
	delete(f.fail, "deallocPD")
	pd, err = ctx.AllocPD()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pd.RegisterMR([]byte{1}, 0); err != nil {
		t.Fatal(err)
	}
	if err := ctx.Close(); err != nil {
		t.Error(err)
	}
	if f.alive() != 0 {
		t.Errorf("%d objects live on", f.alive())
	}
}

func TestOpenNeedsSoftRoce(t *testing.T) {
	_, err := Open(Device{Name: "mlx5_0", Driver: "mlx5_core", Uverbs: "uverbs0"})
	wantText(t, err, true, "open device mlx5_0", "driver mlx5_core", "umemstress soft-roce up")
	_, err = Open(Device{Name: "rxe0", Driver: DriverRxe})
	wantText(t, err, true, "open device rxe0: it has no uverbs device", "modprobe ib_uverbs")
	_, err = Open(Device{Name: "rxe0", Driver: DriverRxe, Uverbs: "uverbs" + fmt.Sprint(1<<20)})
	wantText(t, err, true, "open device rxe0", "ENOENT")
}
