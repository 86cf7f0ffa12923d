package rdma

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs/verbstest"
)

// fake is a device in memory, which insists on the order that the kernel insists
// on.
type fake struct {
	verbstest.Device
	closed bool

	mu   sync.Mutex
	fail map[string]error // by the backend's method
}

func newFake() (*fake, *Context) {
	f := &fake{fail: map[string]error{}}
	f.Before = func(method string) error {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.closed = f.closed || method == "Close"
		return f.fail[method]
	}
	return f, newContext(Device{Name: "fake0", Uverbs: "uverbs0", sysfs: "/nonexistent"}, f.Open())
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
		if f.Held() != 0 || !f.closed {
			t.Fatalf("%v: %d objects live on, closed %v", order, f.Held(), f.closed)
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
		if f.Held() != 0 || ctx.objects.newest != nil {
			t.Fatalf("%v: %d objects live on", order, f.Held())
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

// newQP is a queue pair of a new device's, with what it takes.
func newQP(t *testing.T, ctx *Context) (*PD, *CQ, *QP) {
	t.Helper()
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
	return pd, cq, qp
}

func TestConcurrentUseAndClose(t *testing.T) {
	f, ctx := newFake()
	pd, cq, qp := newQP(t, ctx)
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
				if err := qp.Post(Request{Local: Slice{MR: mr}}); errors.Is(err, ErrClosed) {
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
	if f.Held() != 0 {
		t.Errorf("%d objects live on", f.Held())
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
	mr, err := pd.RegisterMR(make([]byte, 8), AccessLocalWrite)
	if err != nil {
		t.Fatal(err)
	}
	w := Request{Local: Slice{MR: mr, Length: 8}}
	bad := Request{Local: Slice{MR: mr, Length: 9}}
	for _, c := range []struct {
		posted []Request
		fit    int
		err    error
	}{
		{[]Request{w, w, w}, 2, ErrQueueFull},
		{[]Request{w, w}, 2, nil},
		{nil, 0, nil},
		{[]Request{w, bad}, 0, errOutside},
	} {
		qp, err := pd.CreateQP(QPConfig{SendCQ: cq, MaxSend: 2})
		if err != nil {
			t.Fatal(err)
		}
		// To nobody, so that requests stay where they are.
		if err := qp.Connect(Address{QPN: max24}, somePath); err != nil {
			t.Fatal(err)
		}
		if n, err := qp.PostAll(c.posted); n != c.fit || !errors.Is(err, c.err) {
			t.Errorf("posted %d of %d, %v", n, len(c.posted), err)
		}
	}
}

var somePath = Path{Port: 1, MTU: 1024}

func TestWaitEndsWithItsContext(t *testing.T) {
	_, c := newFake()
	// However slow the machine is, Wait asks whether the device is in sysfs.
	there, nowhere := tree(t, map[string]string{"class/infiniband_verbs/uverbs0/ibdev": "fake0"}), c.device.sysfs
	c.device.sysfs = there
	cq, err := c.CreateCQ(1)
	if err != nil {
		t.Fatal(err)
	}
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := cq.Wait(done, make([]Completion, 1)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	c.device.sysfs = nowhere
	if _, err := cq.Wait(t.Context(), make([]Completion, 1)); !errors.Is(err, ErrDeviceGone) {
		t.Error(err)
	}
	c.device.sysfs = there
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
	f.fail["AllocPD"] = unix.ENOMEM
	if _, err := ctx.AllocPD(); !errors.Is(err, unix.ENOMEM) {
		t.Error(err)
	}
	delete(f.fail, "AllocPD")
	pd, err := ctx.AllocPD()
	if err != nil {
		t.Fatal(err)
	}
	f.fail["RegisterMR"] = unix.EFAULT
	_, err = pd.RegisterMR([]byte{1}, 0)
	if !errors.Is(err, unix.EFAULT) || errors.Is(err, ErrPinRefused) {
		t.Errorf("a region without write access: %v", err)
	}
	if _, err := pd.RegisterMR(nil, 0); err == nil {
		t.Error("an empty region is accepted")
	}
	delete(f.fail, "RegisterMR")
	mr, err := pd.RegisterMR([]byte{1}, 0)
	if err != nil {
		t.Fatal(err)
	}
	// The PD's end is deferred to the region's Close, and so is its error.
	f.fail["DeallocPD"] = unix.EBUSY
	if err := pd.Close(); err != nil {
		t.Error(err)
	}
	if err := mr.Close(); !errors.Is(err, unix.EBUSY) {
		t.Error(err)
	}
	delete(f.fail, "DeallocPD")
	pd, err = ctx.AllocPD()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pd.RegisterMR([]byte{1}, 0); err != nil {
		t.Fatal(err)
	}
	f.Remove() // and everything with it
	if err := ctx.Close(); err != nil {
		t.Error(err)
	}
	if f.Held() != 0 {
		t.Errorf("%d objects live on", f.Held())
	}
}

func TestOpenSaysWhatIsMissing(t *testing.T) {
	mlx5 := Device{Name: "mlx5_no", Driver: "mlx5_core", Uverbs: "uverbs" + fmt.Sprint(1<<20)}
	_, err := OpenThrough(mlx5, Uverbs)
	wantText(t, err, true, "open device mlx5_no", "queues of mlx5_core", "backend ibverbs", "umemstress soft-roce up")
	_, err = OpenThrough(mlx5, "hands")
	wantText(t, err, false, `no backend "hands"`, "auto uverbs ibverbs")
	_, err = Open(mlx5) // no such device, whether or not the library and other devices are here
	wantText(t, err, true, "open device mlx5_no")
	_, err = Open(Device{Name: "rxe0", Driver: DriverRxe})
	wantText(t, err, true, "open device rxe0: it has no uverbs device", "modprobe ib_uverbs")
	_, err = Open(Device{Name: "rxe0", Driver: DriverRxe, Uverbs: "uverbs" + fmt.Sprint(1<<20)})
	wantText(t, err, true, "open device rxe0", "ENOENT")
}
