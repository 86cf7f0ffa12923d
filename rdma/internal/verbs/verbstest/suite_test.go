package verbstest

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

func targetOf(d *Device) Target {
	return Target{
		Open: func() (verbs.Backend, error) { return d.Open(), nil },
		AH:   verbs.AH{Port: 1, Global: true},
		MTU:  3,
		Held: func() (int, error) { return d.Held(), nil },
		Removable: func(testing.TB) (func() (verbs.Backend, error), func() <-chan error) {
			open := func() (verbs.Backend, error) { return d.Open(), nil }
			return open, func() <-chan error {
				d.Remove()
				gone := make(chan error, 1)
				gone <- nil
				return gone
			}
		},
		Switched: func(testing.TB) (func() (verbs.Backend, error), func(bool) error) {
			open := func() (verbs.Backend, error) { return d.Open(), nil }
			return open, func(up bool) error {
				d.SetPort(up)
				return nil
			}
		},
	}
}

func TestDevice(t *testing.T) {
	target := targetOf(&Device{})
	target.File = mapped(t, areaSize)
	Run(t, target)
}

var allocated *int

// defects has for each check what it must find; connectionDefects have the same of those that are of no reliable connection
// with receives of its own, and memoryDefects of those that change who reaches memory.
var defects = map[string]map[string]hooks{
	"ports": {
		"takes any port for its own": {queryPort: func(b verbs.Backend, _ uint8) (verbs.PortAttr, error) { return b.QueryPort(1) }},
		"no MTU": {queryPort: func(b verbs.Backend, p uint8) (verbs.PortAttr, error) {
			_, err := b.QueryPort(p)
			return verbs.PortAttr{State: verbs.PortActive}, err
		}},
	},
	"alive": {
		"false alarm": {event: func(verbs.Backend) (verbs.Event, bool) { return verbs.Event{Type: verbs.EventDeviceFatal}, true }},
		"blocks":      {event: func(verbs.Backend) (verbs.Event, bool) { select {} }},
	},
	"in use": {
		"a domain's users are ignored": {deallocPD: func(b verbs.Backend, pd verbs.Handle) error { return excused(b.DeallocPD(pd), unix.EBUSY) }},
		"a queue's users are ignored":  {destroyCQ: func(q verbs.CQ) error { return excused(q.Destroy(), unix.EBUSY) }},
		"another errno":                {destroyCQ: func(q verbs.CQ) error { return errors.Join(unix.EINVAL, excused(q.Destroy(), unix.EBUSY)) }},
	},
	"closing takes all": {"closes nothing": {close: func(verbs.Backend) error { return nil }}},
	"beyond limits": {
		"a queue of nothing becomes one of one": {createCQ: func(b verbs.Backend, n uint32) (verbs.CQ, error) { return b.CreateCQ(max(n, 1)) }},
		"a huge queue is made smaller":          {createCQ: func(b verbs.Backend, n uint32) (verbs.CQ, error) { return b.CreateCQ(min(n, maxWork)) }},
		"access is not checked": {registerMR: func(b verbs.Backend, pd verbs.Handle, mem []byte, a verbs.Access) (verbs.MR, error) {
			return b.RegisterMR(pd, mem, a|verbs.AccessLocalWrite)
		}},
	},
	"what it does not do": {
		"every operation is a write": {post: changed(func(w *verbs.WR) { w.Op = verbs.OpWrite })},
		"only the first piece":       {post: changed(func(w *verbs.WR) { w.SGEs = w.SGEs[:min(1, len(w.SGEs))] })},
		"datagrams go to the peer":   {post: changed(func(w *verbs.WR) { w.To = nil })},
	},
	"memory that cannot be reached": {
		"success": {registerMR: func(b verbs.Backend, pd verbs.Handle, mem []byte, a verbs.Access) (verbs.MR, error) {
			mr, err := b.RegisterMR(pd, mem, a)
			return mr, excused(err, unix.EFAULT)
		}},
		"no errno": {registerMR: func(b verbs.Backend, pd verbs.Handle, mem []byte, a verbs.Access) (verbs.MR, error) {
			mr, err := b.RegisterMR(pd, mem, a)
			if err != nil {
				err = errors.New("register: " + err.Error())
			}
			return mr, err
		}},
	},
	"order of states": {"any order": {modify: func(q verbs.QP, a verbs.QPAttr) error { return excused(q.Modify(a), unix.EINVAL) }}},
	"write": {
		"a byte too many": {post: changed(func(w *verbs.WR) { w.SGEs[0].Length++ })},
		"a byte too few":  {post: changed(func(w *verbs.WR) { w.SGEs[0].Length-- })},
		"32 bits of ID":   {poll: polled(func(wc []verbs.Completion) int { return each(wc, func(c *verbs.Completion) { c.ID &= 1<<32 - 1 }) })},
	},
	"reads at a time": {
		"the device has none": {query: func(verbs.Backend) (verbs.DeviceAttr, error) { return verbs.DeviceAttr{}, nil }},
		"a neighbour's bytes": {post: changed(func(w *verbs.WR) { w.Remote.Addr &^= areaSize / depth })},
	},
	"read": {"writes": {post: changed(func(w *verbs.WR) { w.Op = verbs.OpWrite })}},
	"atomic operations": {
		"nothing is compared": {post: changed(func(w *verbs.WR) {
			if w.Op == verbs.OpCompareSwap {
				w.Op = verbs.OpWrite
			}
		})},
		"a byte of what is added": {post: changed(func(w *verbs.WR) { w.CompareAdd &= 0xff })},
		"half of what is swapped": {post: changed(func(w *verbs.WR) { w.Swap &= 1<<32 - 1 })},
		"anywhere":                {post: changed(func(w *verbs.WR) { w.Remote.Addr &^= 7 })},
	},
	"keys": {
		"remote keys are ignored": {registerMR: func(b verbs.Backend, pd verbs.Handle, mem []byte, _ verbs.Access) (verbs.MR, error) {
			return b.RegisterMR(pd, mem, all)
		}},
		"unsignaled failures are silent": {poll: polled(func(wc []verbs.Completion) int {
			return keep(wc, func(c verbs.Completion) bool { return c.Status == verbs.StatusSuccess })
		})},
		"regions stay": {deregister: func(verbs.Backend, verbs.Handle) error { return nil }},
	},
	"several pieces": {
		"only the first": {post: changed(func(w *verbs.WR) { w.SGEs = w.SGEs[:1] })},
		"the last first": {post: changed(func(w *verbs.WR) { slices.Reverse(w.SGEs) })},
		"one receives": {receive: func(q verbs.QP, wrs []verbs.ReceiveWR) (int, error) {
			wrs = slices.Clone(wrs)
			for i := range wrs {
				wrs[i].SGEs = wrs[i].SGEs[:1]
			}
			return q.PostReceives(wrs)
		}},
	},
	"inline": {
		"no memory of its own": {post: changed(func(w *verbs.WR) { w.Inline = false })},
		"any length":           {post: changed(func(w *verbs.WR) { w.SGEs[0].Length = min(w.SGEs[0].Length, 24) })},
	},
	"only signaled": {"all signaled": {post: changed(func(w *verbs.WR) { w.Signaled = true })}},
	"poll": {
		"newest first": {poll: polled(func(wc []verbs.Completion) int { slices.Reverse(wc); return len(wc) })},
		"leaves what was there": {poll: func(q verbs.CQ, wc []verbs.Completion) (int, error) {
			old := slices.Clone(wc)
			n, err := q.Poll(wc)
			for i := range n {
				wc[i].VendorErr = old[i].VendorErr
			}
			return n, err
		}},
		"loses the first": {poll: polled(func(wc []verbs.Completion) int { return copy(wc, wc[min(1, len(wc)):]) })},
	},
	"events": {
		"none":                    {arm: func(verbs.EventCQ) error { return nil }},
		"old ones are remembered": {arm: armedOnce()},
	},
	"overflow": {
		"nobody is told": {event: without(verbs.EventCQError)},
		"told as the port's": {event: told(func(e *verbs.Event) {
			if e.Type == verbs.EventCQError {
				e.Type = verbs.EventPortError
			}
		})},
	},
	"port down and up": {
		"nobody is told": {event: without(verbs.EventPortError)},
		"for ever":       {event: without(verbs.EventPortActive)},
		"another port":   {event: told(func(e *verbs.Event) { e.Port++ })},
		"still active": {queryPort: func(b verbs.Backend, p uint8) (verbs.PortAttr, error) {
			attr, err := b.QueryPort(p)
			attr.State = verbs.PortActive
			return attr, err
		}},
	},
	"full queue": {
		"says that all fit": {post: func(q verbs.QP, wrs []verbs.WR) (int, error) {
			_, err := q.Post(wrs)
			return len(wrs), err
		}},
		"an error": {post: func(q verbs.QP, wrs []verbs.WR) (int, error) {
			n, err := q.Post(wrs)
			if n < len(wrs) && err == nil {
				err = unix.ENOMEM
			}
			return n, err
		}},
	},
	"bad request among good": {
		"all or nothing": {post: func(q verbs.QP, wrs []verbs.WR) (int, error) {
			if slices.ContainsFunc(wrs, func(w verbs.WR) bool { return w.Op > verbs.OpRead }) {
				return 0, unix.EINVAL
			}
			return q.Post(wrs)
		}},
		"posted nevertheless": {post: func(q verbs.QP, wrs []verbs.WR) (int, error) {
			n, err := q.Post(wrs)
			if err != nil {
				_, _ = q.Post(wrs[n+1:])
			}
			return n, err
		}},
	},
	"flush": {
		"not done":       {modify: func(q verbs.QP, a verbs.QPAttr) error { return onlyTo(q, a, verbs.ReadyToSend) }},
		"told a success": {poll: polled(func(wc []verbs.Completion) int { return each(wc, func(c *verbs.Completion) { c.Status = 0 }) })},
	},
	"flush after failure": {
		"only the one that failed": {poll: polled(func(wc []verbs.Completion) int {
			return keep(wc, func(c verbs.Completion) bool { return c.Status != verbs.StatusFlushed })
		})},
		"all fail alike": {poll: polled(func(wc []verbs.Completion) int {
			return each(wc, func(c *verbs.Completion) {
				if c.Status == verbs.StatusFlushed {
					c.Status = verbs.StatusRemoteAccess
				}
			})
		})},
	},
	"destroyed with requests": {"flushes them": {destroyQP: func(q verbs.QP) error {
		return errors.Join(q.Modify(verbs.QPAttr{Mask: verbs.AttrState, State: verbs.ErrorState}), q.Destroy())
	}}},
	"messages": {
		"the last memory first": {receive: func(q verbs.QP, wrs []verbs.ReceiveWR) (int, error) {
			wrs = slices.Clone(wrs)
			slices.Reverse(wrs)
			return q.PostReceives(wrs)
		}},
		"a byte too few":    {post: changed(func(w *verbs.WR) { w.SGEs[0].Length-- })},
		"no length":         {poll: polled(func(wc []verbs.Completion) int { return each(wc, func(c *verbs.Completion) { c.ByteLen = 0 }) })},
		"both sides as one": {poll: polled(func(wc []verbs.Completion) int { return each(wc, func(c *verbs.Completion) { c.QPN = 1 }) })},
	},
	"immediates": {
		"none":               {post: changed(func(w *verbs.WR) { w.Op = verbs.OpSend })},
		"of the one before":  {post: changed(func(w *verbs.WR) { w.Imm-- })},
		"of the sender, too": {poll: polled(func(wc []verbs.Completion) int { return each(wc, func(c *verbs.Completion) { c.WithImm = true }) })},
	},
	"message too long": {"is cut off": {post: changed(func(w *verbs.WR) { w.SGEs[0].Length = 64 })}},
	"full receive queue": {
		"says that all fit": {receive: func(q verbs.QP, wrs []verbs.ReceiveWR) (int, error) {
			_, err := q.PostReceives(wrs)
			return len(wrs), err
		}},
		"leaves the bad one out": {receive: func(q verbs.QP, wrs []verbs.ReceiveWR) (int, error) {
			return q.PostReceives(slices.DeleteFunc(slices.Clone(wrs), func(w verbs.ReceiveWR) bool { return len(w.SGEs) == 0 }))
		}},
	},
	"flush of receives": {"not done": {modify: func(q verbs.QP, a verbs.QPAttr) error { return onlyTo(q, a, verbs.ReadyToSend) }}},
	"allocations": {"allocates": {post: func(q verbs.QP, wrs []verbs.WR) (int, error) {
		allocated = new(int)
		return q.Post(wrs)
	}}},
	"several goroutines": {"one at a time": oneAtATime()},
	"removal": {"another errno": {deregister: func(b verbs.Backend, mr verbs.Handle) error {
		if b.DeregisterMR(mr) != nil {
			return unix.EINVAL
		}
		return nil
	}}, "does not come back": {deregister: func(b verbs.Backend, mr verbs.Handle) error {
		if fatal(b) {
			select {}
		}
		return b.DeregisterMR(mr)
	}}},
}

// Every check finds what it is there to find.
func TestSuiteFails(t *testing.T) {
	defects := maps.Clone(defects)
	maps.Copy(defects, connectionDefects)
	maps.Copy(defects, memoryDefects)
	for _, c := range checks() {
		if c.name == "pin of a file" {
			continue // TestMaskedPinRefusal
		}
		if len(defects[c.name]) == 0 {
			t.Errorf("nobody knows whether %q can fail", c.name)
		}
		for what, h := range defects[c.name] {
			t.Run(c.name+"/"+what, func(t *testing.T) {
				d := &Device{}
				target := targetOf(d)
				target.Open = func() (verbs.Backend, error) { return broken{d.Open(), &h}, nil }
				wantFailure(t, c, target)
			})
		}
	}
	for name := range defects {
		if !slices.ContainsFunc(checks(), func(c check) bool { return c.name == name }) {
			t.Errorf("there is no check %q", name)
		}
	}
}

// A refused pin that shows as something else cannot be told from it above.
func TestMaskedPinRefusal(t *testing.T) {
	file := mapped(t, areaSize)
	for errno, fails := range map[unix.Errno]bool{unix.EFAULT: false, unix.EINVAL: true, 0: true} {
		d := &Device{}
		target := targetOf(d)
		target.File, target.Refused = file, true
		h := hooks{registerMR: func(b verbs.Backend, pd verbs.Handle, mem []byte, a verbs.Access) (verbs.MR, error) {
			if &mem[0] == &file[0] && errno != 0 {
				return verbs.MR{}, errno
			}
			return b.RegisterMR(pd, mem, a)
		}}
		target.Open = func() (verbs.Backend, error) { return broken{d.Open(), &h}, nil }
		c := check{"pin of a file", testFile}
		if fails {
			wantFailure(t, c, target)
		} else {
			c.run(t, target)
		}
	}
}

func wantFailure(t *testing.T, c check, target Target) {
	t.Helper()
	target.Patience = 200 * time.Millisecond
	removable, switched := target.Removable, target.Switched
	target.Switched = func(t testing.TB) (func() (verbs.Backend, error), func(bool) error) {
		_, set := switched(t)
		return target.Open, set
	}
	target.Removable = func(t testing.TB) (func() (verbs.Backend, error), func() <-chan error) {
		_, remove := removable(t)
		return target.Open, remove
	}
	r := &recorder{}
	r.do(func() { c.run(r, target) })
	for _, f := range slices.Backward(r.cleanups) {
		r.do(f)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.said) == 0 {
		t.Error("the check passes")
	}
	t.Logf("%q", r.said)
}
