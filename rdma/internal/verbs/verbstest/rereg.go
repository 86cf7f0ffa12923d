package verbstest

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

// ReregisterMR gives a region that has other memory other keys.
func (o *opened) ReregisterMR(mr verbs.Handle, to verbs.Rereg) (verbs.MR, error) {
	d := o.device
	err := d.ask("ReregisterMR")
	defer d.mu.Unlock()
	r := d.mrs[mr]
	if err == nil && (r == nil || to.Mask == 0 || d.windowsOf(mr) > 0) {
		err = unix.EINVAL
	}
	if err != nil {
		return verbs.MR{}, err
	}
	next := *r
	if to.Mask&verbs.ReregAccess != 0 {
		next.access = to.Access
	}
	if to.Mask&verbs.ReregMemory != 0 {
		next.mem, next.key = to.Mem, d.number()
	}
	if next.access&verbs.AccessRemoteWrite != 0 && next.access&verbs.AccessLocalWrite == 0 {
		return verbs.MR{}, unix.EINVAL
	}
	if err := reach(next.mem, next.access&(verbs.AccessLocalWrite|verbs.AccessRemoteWrite) != 0); err != nil {
		return verbs.MR{}, err
	}
	*r = next
	return verbs.MR{Handle: mr, LKey: r.key, RKey: r.key}, nil
}

// reregistered is a rig with a region that was re-registered.
type reregistered struct {
	*rig
	before, after       []byte // its memory
	keyBefore, keyAfter uint32
}

// newReregistered does that; false: the device does not, as it is to, and the region is as it was.
func newReregistered(t testing.TB, target Target, access verbs.Access, mask verbs.ReregMask, next verbs.Access) (*reregistered, bool) {
	t.Helper()
	r := &reregistered{rig: newRig(t, target), before: mapped(t, areaSize)}
	r.after = r.before
	to := verbs.Rereg{Mask: mask, Access: next}
	if mask&verbs.ReregMemory != 0 {
		r.after = mapped(t, areaSize)
		to.Mem = r.after
	}
	mr, err := r.backend.RegisterMR(r.pd, r.before, access)
	r.must(err)
	r.keyBefore = mr.RKey
	mr, err = r.backend.ReregisterMR(mr.Handle, to)
	if target.Fixed || target.FixedMemory && to.Mem != nil {
		if !oneOf(err, unix.EOPNOTSUPP) {
			t.Errorf("re-registering, of a device that does not: %v, want EOPNOTSUPP", err)
		}
		return r, false
	}
	r.must(err)
	r.keyAfter = mr.RKey
	return r, true
}

// written says whether a write to memory comes there.
func (r *reregistered) written(mem []byte, key uint32) bool {
	r.Helper()
	w := r.write(1, 0, 64)
	w.Remote = verbs.Remote{Addr: verbs.AddressOf(mem), RKey: key}
	r.post(w)
	c, arrived := r.await(1)[0], bytes.Equal(mem[:64], r.from.mem[:64])
	if arrived != (c.Status == verbs.StatusSuccess) || !bytes.Equal(mem[64:], make([]byte, len(mem)-64)) {
		r.Errorf("a write to a region that was re-registered: %+v; it arrived: %v", c, arrived)
	}
	return arrived
}

// testRereg: a region that is re-registered has another access, other memory, or both, and not what it had.
func testRereg(t testing.TB, target Target) {
	const readable, both = verbs.AccessRemoteRead, verbs.ReregMemory | verbs.ReregAccess
	after := func(r *reregistered) bool { return r.written(r.after, r.keyAfter) }
	for what, of := range map[string]struct {
		access, next verbs.Access
		mask         verbs.ReregMask
		written      func(*reregistered) bool
		want         bool
	}{
		"to be written":                     {readable, all, verbs.ReregAccess, after, true},
		"to be read alone":                  {all, readable, verbs.ReregAccess, after, false},
		"over other memory":                 {all, 0, verbs.ReregMemory, after, true},
		"over other memory, as readable":    {readable, 0, verbs.ReregMemory, after, false},
		"over other memory, to be read":     {all, readable, both, after, false},
		"over other memory, to be written":  {readable, all, both, after, true},
		"the memory of before":              {all, 0, verbs.ReregMemory, func(r *reregistered) bool { return r.written(r.before, r.keyAfter) }, false},
		"the memory of before, by that key": {all, 0, verbs.ReregMemory, func(r *reregistered) bool { return r.written(r.before, r.keyBefore) }, false},
	} {
		r, done := newReregistered(t, target, of.access, of.mask, of.next)
		if !done { // nothing has changed
			of.want, of.written = of.access == all, func(r *reregistered) bool { return r.written(r.before, r.keyBefore) }
		}
		if got := of.written(r); got != of.want {
			t.Errorf("%s: written %v, want %v; re-registered: %v", what, got, of.want, done)
		}
	}
	testBadRereg(t, target)
}

// testBadRereg: what cannot be is refused, and leaves a region that can be deregistered.
func testBadRereg(t testing.TB, target Target) {
	r := newUnconnectedRig(t, target)
	hole := mapped(t, areaSize)
	r.must(unix.Mprotect(hole[areaSize/2:], unix.PROT_NONE))
	for what, to := range map[string]verbs.Rereg{
		"nothing":                          {},
		"remote write without a local one": {Mask: verbs.ReregAccess, Access: verbs.AccessRemoteWrite},
		"memory that cannot be reached":    {Mask: verbs.ReregMemory, Mem: hole},
	} {
		mr, err := r.backend.RegisterMR(r.pd, r.to.mem, all)
		r.must(err)
		want := []unix.Errno{unix.EINVAL, unix.EFAULT}
		if target.Fixed || target.FixedMemory && to.Mem != nil {
			want = append(want, unix.EOPNOTSUPP)
		}
		if _, err := r.backend.ReregisterMR(mr.Handle, to); !oneOf(err, want...) {
			t.Errorf("re-registering for %s: %v, want one of %v", what, err, want)
		}
		r.must(r.backend.DeregisterMR(mr.Handle))
		if _, err := r.backend.ReregisterMR(mr.Handle, verbs.Rereg{Mask: verbs.ReregAccess, Access: all}); !oneOf(err, unix.EINVAL, unix.EBADF, unix.ENOENT, unix.EOPNOTSUPP) {
			t.Errorf("re-registering what is no more: %v", err)
		}
	}
}
