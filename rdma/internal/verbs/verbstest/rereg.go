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
	if access&verbs.AccessLocalWrite == 0 && next&verbs.AccessLocalWrite != 0 && to.Mem == nil && oneOf(err, unix.EACCES) {
		return r, false // the driver does not pin anew
	}
	if err != nil {
		t.Fatalf("re-registering from access %#x to %#x (mask %d): %v", access, next, mask, err)
	}
	r.keyAfter = mr.RKey
	return r, true
}

// reach posts a write to memory, of which arrived says later whether it came there.
func (r *reregistered) reach(mem []byte, key uint32) (arrived func() bool) {
	r.Helper()
	w := r.write(1, 0, 64)
	w.Remote = verbs.Remote{Addr: verbs.AddressOf(mem), RKey: key}
	r.post(w)
	return func() bool {
		r.Helper()
		c, came := r.await(1)[0], bytes.Equal(mem[:64], r.from.mem[:64])
		if came != (c.Status == verbs.StatusSuccess) || !bytes.Equal(mem[64:], make([]byte, len(mem)-64)) {
			r.Errorf("a write to a region that was re-registered: %+v; it arrived: %v", c, came)
		}
		return came
	}
}

// testRereg: a region that is re-registered has another access, other memory, or both, and not what it had. Writes that
// are refused wait for that together.
func testRereg(t testing.TB, target Target) {
	const readable, both = verbs.AccessRemoteRead, verbs.ReregMemory | verbs.ReregAccess
	type place func(*reregistered) (mem []byte, key uint32)
	now := func(r *reregistered) ([]byte, uint32) { return r.after, r.keyAfter }
	then := func(r *reregistered) ([]byte, uint32) { return r.before, r.keyBefore }
	arrived := map[string]func(){}
	for what, of := range map[string]struct {
		access, next verbs.Access
		mask         verbs.ReregMask
		at           place
		want         bool
	}{
		"to be written":                     {readable, all, verbs.ReregAccess, now, true},
		"to be written by others":           {verbs.AccessLocalWrite, all, verbs.ReregAccess, now, true},
		"to be written by nobody else":      {all, verbs.AccessLocalWrite, verbs.ReregAccess, now, false},
		"to be read alone":                  {all, readable, verbs.ReregAccess, now, false},
		"over other memory":                 {all, 0, verbs.ReregMemory, now, true},
		"over other memory, as readable":    {readable, 0, verbs.ReregMemory, now, false},
		"over other memory, to be read":     {all, readable, both, now, false},
		"over other memory, to be written":  {readable, all, both, now, true},
		"the memory of before":              {all, 0, verbs.ReregMemory, func(r *reregistered) ([]byte, uint32) { return r.before, r.keyAfter }, false},
		"the memory of before, by that key": {all, 0, verbs.ReregMemory, then, false},
	} {
		r, done := newReregistered(t, target, of.access, of.mask, of.next)
		if !done { // nothing has changed
			of.want, of.at = of.access == all, then
		}
		came := r.reach(of.at(r))
		arrived[what] = func() {
			if got := came(); got != of.want {
				t.Errorf("%s: written %v, want %v; re-registered: %v", what, got, of.want, done)
			}
		}
	}
	for _, look := range arrived {
		look()
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
