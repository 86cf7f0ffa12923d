package verbstest

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

// window is a memory window of a [Device].
type window struct {
	pd     verbs.Handle
	of     verbs.MWType
	by     *qp // of type 2: what it was bound through
	key    uint32
	to     *region // nil: it is bound to nothing
	mr     verbs.Handle
	bound  verbs.Bind
	access verbs.Access
}

// firstWindowKey is more than the key of any region. The last eight bits of a window's say which binding it is of.
const firstWindowKey = 1 << 31

func (o *opened) AllocMW(pd verbs.Handle, of verbs.MWType) (verbs.MW, error) {
	d := o.device
	err := d.ask("AllocMW")
	defer d.mu.Unlock()
	if _, domain := d.pds[pd]; err == nil && !domain {
		err = unix.EINVAL
	}
	if err != nil {
		return verbs.MW{}, err
	}
	mw := verbs.MW{Handle: verbs.Handle(d.number()), Type: of}
	mw.RKey = firstWindowKey | uint32(mw.Handle)<<8
	d.pds[pd]++
	d.mws[mw.Handle] = &window{pd: pd, of: of, key: mw.RKey}
	o.own = append(o.own, func() { d.dropMW(mw.Handle) })
	return mw, nil
}

func (o *opened) DeallocMW(mw verbs.Handle) error {
	d := o.device
	err := d.ask("DeallocMW")
	defer d.mu.Unlock()
	if err == nil && d.mws[mw] == nil {
		err = unix.EINVAL
	}
	if err == nil {
		d.dropMW(mw)
	}
	return err
}

func (d *Device) dropMW(mw verbs.Handle) {
	if w := d.mws[mw]; w != nil {
		d.pds[w.pd]--
		delete(d.mws, mw)
	}
}

// windowsOf is how many are bound to a region.
func (d *Device) windowsOf(mr verbs.Handle) (n int) {
	for _, w := range d.mws {
		if w.to != nil && w.mr == mr {
			n++
		}
	}
	return n
}

// BindMW is done at once.
func (q *qp) BindMW(b verbs.Bind) (uint32, error) {
	d := q.device
	d.mu.Lock()
	defer d.mu.Unlock()
	w, r := d.mws[b.MW.Handle], d.mrs[b.MR.Handle]
	switch {
	case d.removed:
		return 0, unix.EIO
	case q.state < verbs.ReadyToSend || w == nil || r == nil:
		return 0, unix.EINVAL
	}
	c := verbs.Completion{ID: b.ID, QPN: q.qpn}
	start := verbs.AddressOf(r.mem)
	switch {
	case q.state != verbs.ReadyToSend:
		c.Status = verbs.StatusFlushed
	case w.pd != q.pd, r.pd != q.pd, w.of == verbs.MWType2 && w.to != nil, w.key != b.MW.RKey, r.access&verbs.AccessBindWindow == 0,
		b.Access&(verbs.AccessRemoteWrite|verbs.AccessRemoteAtomic) != 0 && r.access&verbs.AccessLocalWrite == 0,
		b.Addr < start, b.Addr-start+b.Length > uint64(len(r.mem)):
		c.Status = verbs.StatusBind
	}
	q.send.add(c)
	if c.Status != verbs.StatusSuccess {
		q.fail()
		return b.MW.RKey, nil
	}
	w.key, w.to, w.by, w.mr, w.bound, w.access = verbs.NextKey(w.key), r, q, b.MR.Handle, b, b.Access
	return w.key, nil
}

// invalidate takes a key from the window of type 2 that was bound with it through the queue pair.
func (q *qp) invalidate(key uint32) (done bool) {
	for _, w := range q.device.mws {
		if w.key == key && w.of == verbs.MWType2 && w.to != nil && w.by == q {
			w.to = nil
			return true
		}
	}
	return false
}

// through finds memory that a window gives access to by a queue pair, or nil.
func (d *Device) through(by *qp, key uint32, addr uint64, length uint32, access verbs.Access) []byte {
	for _, w := range d.mws {
		if w.key != key {
			continue
		}
		if w.to == nil || w.pd != by.pd || w.of == verbs.MWType2 && w.by != by || w.access&access != access || addr < w.bound.Addr || addr-w.bound.Addr+uint64(length) > w.bound.Length {
			return nil
		}
		return w.to.mem[addr-verbs.AddressOf(w.to.mem):][:length]
	}
	return nil
}

// windowed is a rig with memory that the other side gets at through a window alone, which the peer has bound to a part of it.
type windowed struct {
	*rig
	target area
	window verbs.MW // with the key before
	key    uint32
}

// The part that the window is over.
const windowAt, windowBytes = 4096 + 8, 8192

// newWindowed binds a window for that access; nil: the device has none, as it is to.
func newWindowed(t testing.TB, target Target, of verbs.MWType, access verbs.Access) *windowed {
	t.Helper()
	r := newRig(t, target)
	w := &windowed{rig: r, target: area{mem: mapped(t, areaSize)}}
	var err error
	w.window, err = r.backend.AllocMW(r.pd, of)
	if target.Windowless {
		if !oneOf(err, unix.EOPNOTSUPP) {
			t.Errorf("a window of a device that has none: %v, want EOPNOTSUPP", err)
		}
		return nil
	}
	r.must(err)
	w.target.mr, err = r.backend.RegisterMR(r.pd, w.target.mem, verbs.AccessLocalWrite|verbs.AccessBindWindow)
	r.must(err)
	w.key = w.bind(3, w.window, windowBytes, access)
	return w
}

// bind binds the window to so many bytes, which is to succeed.
func (w *windowed) bind(id uint64, window verbs.MW, length int, access verbs.Access) uint32 {
	w.Helper()
	key, err := w.peer.BindMW(verbs.Bind{
		ID: id, MW: window, MR: w.target.mr, Addr: verbs.AddressOf(w.target.mem) + windowAt, Length: uint64(length), Access: access,
	})
	w.must(err)
	if c := w.await(1)[0]; c.ID != id || c.Status != verbs.StatusSuccess || c.QPN != w.peer.Number() {
		w.Fatalf("binding a window: %+v", c)
	}
	if key == window.RKey {
		w.Fatalf("the key of a window is %#x, as before it was bound", key)
	}
	return key
}

// through is a write of the first bytes to that place of the memory, through the window.
func (w *windowed) through(offset, length int) verbs.WR {
	r := w.write(1, 0, length)
	r.Remote = verbs.Remote{Addr: verbs.AddressOf(w.target.mem) + uint64(offset), RKey: w.key}
	return r
}

// testWindows: the key of a window gives access to its part of a region, and goes with the next binding; a region stays as long
// as a window is bound to it.
func testWindows(t testing.TB, target Target) {
	w := newWindowed(t, target, verbs.MWType1, verbs.AccessRemoteWrite)
	if w == nil {
		return
	}
	want := make([]byte, areaSize)
	copy(want[windowAt:], w.from.mem[:windowBytes])
	w.post(w.through(windowAt, windowBytes))
	if c := w.await(1)[0]; c.Status != verbs.StatusSuccess || !bytes.Equal(w.target.mem, want) {
		t.Fatalf("a write through a window: %+v; as it was sent: %v", c, bytes.Equal(w.target.mem, want))
	}
	if err := w.backend.DeregisterMR(w.target.mr.Handle); !oneOf(err, unix.EBUSY, unix.EINVAL) {
		t.Fatalf("deregistering a region that a window is bound to: %v, want EBUSY, or EINVAL of rdma_rxe", err)
	}
	w.window.RKey = w.key
	w.key = w.bind(4, w.window, 64, verbs.AccessRemoteRead)
	read := w.through(windowAt, 64)
	read.Op = verbs.OpRead
	w.post(read)
	if c := w.await(1)[0]; c.Status != verbs.StatusSuccess || !bytes.Equal(w.from.mem[:64], want[windowAt:][:64]) {
		t.Fatalf("a read through a window: %+v", c)
	}
	w.must(w.backend.DeallocMW(w.window.Handle))
	w.must(w.backend.DeregisterMR(w.target.mr.Handle))
	for what, change := range map[string]func(*windowed, *verbs.WR){
		"the key before":      func(w *windowed, r *verbs.WR) { r.Remote.RKey = w.window.RKey },
		"the region's key":    func(w *windowed, r *verbs.WR) { r.Remote.RKey = w.target.mr.RKey },
		"what is not granted": func(_ *windowed, r *verbs.WR) { r.Op = verbs.OpRead },
		"one that is gone":    func(w *windowed, _ *verbs.WR) { w.must(w.backend.DeallocMW(w.window.Handle)) },
	} {
		w := newWindowed(t, target, verbs.MWType1, verbs.AccessRemoteWrite)
		r := w.through(windowAt, 64)
		change(w, &r)
		w.post(r)
		if c := w.await(1)[0]; c.Status == verbs.StatusSuccess || !bytes.Equal(w.target.mem, make([]byte, areaSize)) {
			t.Errorf("%s: %+v", what, c)
		}
	}
	testWindowBounds(t, target, verbs.MWType1)
	testBadBinding(t, target, verbs.MWType1)
}

// testWindowBounds: what is not within a window is out of reach, as far as the device looks at that.
func testWindowBounds(t testing.TB, target Target, of verbs.MWType) {
	for what, change := range map[string]func(*verbs.WR){
		"a byte before it": func(r *verbs.WR) { r.Remote.Addr-- },
		"a byte too many":  func(r *verbs.WR) { r.SGEs[0].Length = windowBytes + 1 },
	} {
		w := newWindowed(t, target, of, verbs.AccessRemoteWrite)
		r := w.through(windowAt, 64)
		change(&r)
		w.post(r)
		c, written := w.await(1)[0], !bytes.Equal(w.target.mem, make([]byte, areaSize))
		if loose := c.Status == verbs.StatusSuccess; loose != target.LooseWindows || written != loose {
			t.Errorf("%s: %+v, it was written: %v; the device's windows are loose: %v", what, c, written, target.LooseWindows)
		}
	}
}

// testBadBinding: what is no binding fails as a request does, or is not taken.
func testBadBinding(t testing.TB, target Target, of verbs.MWType) {
	for what, change := range map[string]func(*windowed, *verbs.Bind){
		"over the end":                  func(_ *windowed, b *verbs.Bind) { b.Length = areaSize + 1 },
		"of a region that is not to be": func(w *windowed, b *verbs.Bind) { b.MR, b.Addr = w.to.mr, verbs.AddressOf(w.to.mem) },
		"with a key that is not its": func(_ *windowed, b *verbs.Bind) {
			b.MW.Handle, b.MW.RKey = b.MW.Handle+1<<20, b.MW.RKey^1<<20
		},
	} {
		w := newWindowed(t, target, of, verbs.AccessRemoteWrite)
		b := verbs.Bind{ID: 5, MW: verbs.MW{Handle: w.window.Handle, Type: of, RKey: w.key}, MR: w.target.mr, Addr: verbs.AddressOf(w.target.mem), Length: 64, Access: verbs.AccessRemoteWrite}
		change(w, &b)
		if _, err := w.peer.BindMW(b); err != nil {
			if !oneOf(err, unix.EINVAL) {
				t.Errorf("binding %s: %v", what, err)
			}
			continue
		}
		if c := w.await(1)[0]; c.ID != 5 || c.Status == verbs.StatusSuccess {
			t.Errorf("binding %s: %+v", what, c)
		}
	}
}
