package verbstest

import (
	"bytes"
	"errors"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

// oneOf says whether an error is one of the errnos, and no bare text.
func oneOf(err error, want ...unix.Errno) bool {
	var errno unix.Errno
	if !errors.As(err, &errno) {
		return false
	}
	for _, w := range want {
		if errno == w {
			return true
		}
	}
	return false
}

func testPorts(t testing.TB, target Target) {
	b := open(t, target)
	attr, err := b.QueryPort(target.AH.Port)
	if err != nil || attr.State != verbs.PortActive || attr.ActiveMTU.Bytes() == 0 {
		t.Errorf("port %d: %+v, %v", target.AH.Port, attr, err)
	}
	for _, port := range []uint8{0, 255} {
		if _, err := b.QueryPort(port); !oneOf(err, unix.EINVAL) {
			t.Errorf("port %d: %v, want EINVAL", port, err)
		}
	}
}

// What something uses is not destroyed, goes on, and can be destroyed afterwards.
func testInUse(t testing.TB, target Target) {
	r := newRig(t, target)
	for what, destroy := range map[string]func() error{
		"domain": func() error { return r.backend.DeallocPD(r.pd) }, "completion queue": r.cq.Destroy,
	} {
		if err := destroy(); !oneOf(err, unix.EBUSY) {
			t.Fatalf("destroying a %s in use: %v, want EBUSY", what, err)
		}
	}
	r.post(r.write(1, 0, 64))
	r.await(1)
	r.must(r.qp.Destroy())
	r.must(r.peer.Destroy())
	r.must(r.cq.Destroy())
	if err := r.backend.DeallocPD(r.pd); !oneOf(err, unix.EBUSY) {
		t.Fatalf("destroying the domain of regions: %v, want EBUSY", err)
	}
	r.must(r.backend.DeregisterMR(r.from.mr.Handle))
	r.must(r.backend.DeregisterMR(r.to.mr.Handle))
	r.must(r.backend.DeallocPD(r.pd))
}

// Nothing is left of what was open, which the end of open sees to.
func testCloseTakesAll(t testing.TB, target Target) {
	before, err := target.Held()
	if err != nil {
		t.Fatal(err)
	}
	newRig(t, target)
	during, err := target.Held()
	if err != nil || during < before+6 { // domain, queue, two pairs, two regions
		t.Errorf("the device holds %d objects, %d before, %v", during, before, err)
	}
}

func testBeyondLimits(t testing.TB, target Target) {
	r := newRig(t, target)
	const beyond = 1 << 30
	_, queueErr := r.backend.CreateCQ(beyond)
	_, noneErr := r.backend.CreateCQ(0)
	good := verbs.QPInit{PD: r.pd, Type: verbs.RC, SendCQ: r.cq, RecvCQ: r.cq, MaxSend: 1, MaxRecv: 1}
	pair := func(change func(*verbs.QPInit)) error {
		init := good
		change(&init)
		q, err := r.backend.CreateQP(init)
		if err == nil {
			r.must(q.Destroy())
		}
		return err
	}
	_, accessErr := r.backend.RegisterMR(r.pd, r.from.mem, verbs.AccessRemoteWrite)
	for what, err := range map[string]error{
		"a huge completion queue":          queueErr,
		"a completion queue of nothing":    noneErr,
		"a huge send queue":                pair(func(i *verbs.QPInit) { i.MaxSend = beyond }),
		"a huge receive queue":             pair(func(i *verbs.QPInit) { i.MaxRecv = beyond }),
		"no completion queue":              pair(func(i *verbs.QPInit) { i.RecvCQ = nil }),
		"another backend's queue":          pair(func(i *verbs.QPInit) { i.SendCQ = foreign{} }),
		"remote write without a local one": accessErr,
	} {
		if !oneOf(err, unix.EINVAL, unix.ENOMEM) {
			t.Errorf("%s: %v, want EINVAL or ENOMEM", what, err)
		}
	}
	if err := pair(func(*verbs.QPInit) {}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

type foreign struct{}

func (foreign) Poll([]verbs.Completion) (int, error) { return 0, nil }
func (foreign) Destroy() error                       { return nil }

func testUnsupported(t testing.TB, target Target) {
	r := newRig(t, target)
	if _, err := r.backend.CreateQP(verbs.QPInit{PD: r.pd, Type: 99, SendCQ: r.cq, RecvCQ: r.cq, MaxSend: 1, MaxRecv: 1}); !oneOf(err, unix.EOPNOTSUPP, unix.EINVAL) {
		t.Errorf("queue pair of type 99: %v", err)
	}
	for what, change := range map[string]func(*verbs.WR){
		"operation 99":                     func(w *verbs.WR) { w.Op = 99 },
		"a datagram on a connected one":    func(w *verbs.WR) { w.To = &verbs.Datagram{} },
		"a request of no memory":           func(w *verbs.WR) { w.SGEs = nil },
		"more pieces than it was made for": func(w *verbs.WR) { w.SGEs = append(w.SGEs, w.SGEs[0]) },
	} {
		w := r.write(1, 0, 64)
		change(&w)
		if n, err := r.qp.Post([]verbs.WR{w}); n != 0 || !oneOf(err, unix.EOPNOTSUPP, unix.EINVAL) {
			t.Errorf("%s: posted %d, %v", what, n, err)
		}
	}
	r.quiet(make([]verbs.Completion, 8))
	r.post(r.write(2, 0, 64))
	if c := r.await(1)[0]; c.ID != 2 || c.Status != verbs.StatusSuccess {
		t.Errorf("afterwards: %+v", c)
	}
}

func testBadMemory(t testing.TB, target Target) {
	r := newUnconnectedRig(t, target)
	hole := mapped(t, areaSize)
	r.must(unix.Mprotect(hole[areaSize/2:], unix.PROT_NONE))
	readOnly := mapped(t, areaSize)
	r.must(unix.Mprotect(readOnly, unix.PROT_READ))
	for what, mem := range map[string][]byte{"half inaccessible": hole, "read-only": readOnly} {
		if _, err := r.backend.RegisterMR(r.pd, mem, all); !oneOf(err, unix.EFAULT, unix.EINVAL) {
			t.Errorf("%s: %v, want EFAULT, or EINVAL of old drivers", what, err)
		}
	}
	r.register(mapped(t, areaSize)) // and goes on
}

// testRegions: those that are made at once are regions like others, up to the one that cannot be made.
func testRegions(t testing.TB, target Target) {
	r := newRig(t, target)
	before, err := target.Held()
	r.must(err)
	hole := mapped(t, areaSize)
	r.must(unix.Mprotect(hole[areaSize/2:], unix.PROT_NONE))
	mems := [][]byte{mapped(t, areaSize), mapped(t, areaSize), hole, mapped(t, areaSize)}
	into := make([]verbs.MR, len(mems))
	n, err := r.backend.RegisterMRs(r.pd, mems, all, into)
	if n != 2 || !oneOf(err, unix.EFAULT, unix.EINVAL) {
		t.Fatalf("%d regions, of which the third is half inaccessible: %v, want EFAULT, or EINVAL of old drivers", n, err)
	}
	if held, err := target.Held(); err != nil || held != before+n {
		t.Errorf("the device holds %d objects, %d before, %v", held, before, err)
	}
	for i, mr := range into[:n] {
		r.to = area{mems[i], mr}
		r.post(r.write(uint64(i), 0, areaSize))
		if c := r.await(1)[0]; c.Status != verbs.StatusSuccess || !bytes.Equal(r.to.mem, r.from.mem) {
			t.Errorf("write to region %d: %+v", i, c)
		}
		r.must(r.backend.DeregisterMR(mr.Handle))
	}
	if n, err := r.backend.RegisterMRs(r.pd, nil, all, nil); n != 0 || err != nil {
		t.Errorf("no memory: %d regions, %v", n, err)
	}
}

// A refused pin must show as what it is: package rdma tells it from a bad address.
func testFile(t testing.TB, target Target) {
	if target.File == nil {
		t.Skip("no file is given")
	}
	r := newUnconnectedRig(t, target)
	mr, err := r.backend.RegisterMR(r.pd, target.File, all)
	switch {
	case target.Refused && !oneOf(err, unix.EFAULT):
		t.Errorf("%v, want EFAULT", err)
	case !target.Refused && err != nil:
		t.Error(err)
	case err == nil:
		r.must(r.backend.DeregisterMR(mr.Handle))
	}
}

// testStates: nothing goes before connecting, and no state is left out.
func testStates(t testing.TB, target Target) {
	r := newUnconnectedRig(t, target)
	spare := r.newQP()
	if _, err := spare.Post([]verbs.WR{r.write(1, 0, 64)}); !oneOf(err, unix.EINVAL) {
		t.Errorf("post in Reset: %v, want EINVAL", err)
	}
	if n, err := spare.PostReceives([]verbs.ReceiveWR{r.memory(1, 0, 64)}); n != 0 || !oneOf(err, unix.EINVAL) {
		t.Errorf("receive in Reset: posted %d, %v, want EINVAL", n, err)
	}
	steps := r.steps(r.peer.Number())
	for _, step := range steps[1:] {
		if err := r.qp.Modify(step); !oneOf(err, unix.EINVAL) {
			t.Errorf("from Reset to state %d: %v, want EINVAL", step.State, err)
		}
	}
	r.must(r.qp.Modify(steps[0]))
	if err := r.qp.Modify(steps[2]); !oneOf(err, unix.EINVAL) {
		t.Errorf("from Init to ReadyToSend: %v, want EINVAL", err)
	}
	r.must(r.qp.Modify(steps[1]))
	r.must(r.qp.Modify(steps[2]))
	r.connect(r.peer, r.qp.Number())
	r.post(r.write(2, 0, 64))
	if c := r.await(1)[0]; c.ID != 2 || c.Status != verbs.StatusSuccess {
		t.Errorf("after refused changes: %+v", c)
	}
}

// Requests to the kernel come from several goroutines, beside traffic.
func testGoroutines(t testing.TB, target Target) {
	r := newRig(t, target)
	var wg sync.WaitGroup
	for range 4 {
		mem := mapped(t, areaSize)
		wg.Go(func() {
			for range 20 {
				mr, err := r.backend.RegisterMR(r.pd, mem, all)
				if err == nil {
					err = r.backend.DeregisterMR(mr.Handle)
				}
				if err == nil && fatal(r.backend) {
					err = errors.New("the device has reported its end")
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	for id := range uint64(50) {
		r.post(r.write(id, 0, 64))
		wc := make([]verbs.Completion, 1)
		for deadline := target.deadline(); ; {
			n, err := r.cq.Poll(wc)
			r.must(err)
			if n == 1 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("no completion came in time")
			}
		}
		if wc[0].ID != id || wc[0].Status != verbs.StatusSuccess {
			t.Errorf("request %d: %+v", id, wc[0])
		}
	}
	wg.Wait()
}

// Whatever a removed device answers, nothing blocks, all can be destroyed, and
// once it is closed the device goes.
func testRemoval(t testing.TB, target Target) {
	if target.Removable == nil {
		t.Skip("no device can be removed")
	}
	before, err := target.Held()
	if err != nil {
		t.Fatal(err)
	}
	reopen, remove := target.Removable(t)
	b, err := reopen()
	if err != nil {
		t.Fatal(err)
	}
	pd, err := b.AllocPD()
	if err != nil {
		t.Fatal(err)
	}
	cq, err := b.CreateCQ(depth)
	if err != nil {
		t.Fatal(err)
	}
	qp, err := b.CreateQP(verbs.QPInit{PD: pd, Type: verbs.RC, SendCQ: cq, RecvCQ: cq, MaxSend: depth, MaxRecv: 1})
	if err != nil {
		t.Fatal(err)
	}
	mr, err := b.RegisterMR(pd, mapped(t, areaSize), all)
	if err != nil {
		t.Fatal(err)
	}
	gone := remove()
	time.Sleep(settle)
	fatal := fatal(b)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, allocErr := b.AllocPD()
		_, pollErr := cq.Poll(make([]verbs.Completion, 1))
		for what, err := range map[string]error{
			"allocate a domain": allocErr, "poll": pollErr,
			"destroy the queue pair": qp.Destroy(), "deregister": b.DeregisterMR(mr.Handle),
		} {
			if err != nil && !oneOf(err, unix.EIO, unix.ENODEV) || fatal && allocErr == nil {
				t.Errorf("%s: %v (fatal %v), want EIO, ENODEV or success", what, err, fatal)
			}
		}
		if err := b.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}()
	select {
	case <-ended:
	case <-time.After(target.patience()):
		t.Fatal("a request to a removed device, or its Close, does not come back")
	}
	select {
	case err := <-gone:
		if err != nil {
			t.Errorf("remove: %v", err)
		}
	case <-time.After(target.patience()):
		t.Error("the device is still there though its user closed it")
	}
	if after, err := target.Held(); err != nil || after != before {
		t.Errorf("%d objects are held, %d before, %v", after, before, err)
	}
}
