package verbstest

import (
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/rdma/internal/verbs"
)

// changed posts the requests after a change of each.
func changed(change func(*verbs.WR)) func(verbs.QP, []verbs.WR) (int, error) {
	return func(q verbs.QP, wrs []verbs.WR) (int, error) {
		wrs = slices.Clone(wrs)
		for i := range wrs {
			wrs[i].SGEs = slices.Clone(wrs[i].SGEs)
			change(&wrs[i])
		}
		return q.Post(wrs)
	}
}

// polled changes what a poll gives.
func polled(change func(wc []verbs.Completion) int) func(verbs.CQ, []verbs.Completion) (int, error) {
	return func(q verbs.CQ, wc []verbs.Completion) (int, error) {
		n, err := q.Poll(wc)
		return change(wc[:n]), err
	}
}

// excused is a request that takes some errors for success.
func excused(err error, errnos ...unix.Errno) error {
	if oneOf(err, errnos...) {
		return nil
	}
	return err
}

// told changes events.
func told(change func(*verbs.Event)) func(verbs.Backend) (verbs.Event, bool) {
	return func(b verbs.Backend) (verbs.Event, bool) {
		e, ok := b.NextEvent()
		if ok {
			change(&e)
		}
		return e, ok
	}
}

// without leaves out events of a type.
func without(kind verbs.EventType) func(verbs.Backend) (verbs.Event, bool) {
	return func(b verbs.Backend) (verbs.Event, bool) {
		for {
			if e, ok := b.NextEvent(); !ok || e.Type != kind {
				return e, ok
			}
		}
	}
}

func each(wc []verbs.Completion, change func(*verbs.Completion)) int {
	for i := range wc {
		change(&wc[i])
	}
	return len(wc)
}

func keep(wc []verbs.Completion, kept func(verbs.Completion) bool) (n int) {
	for _, c := range wc {
		if kept(c) {
			wc[n] = c
			n++
		}
	}
	return n
}

func onlyTo(q verbs.QP, a verbs.QPAttr, last verbs.QPState) error {
	if a.State > last {
		return nil
	}
	return q.Modify(a)
}

// armedOnce forgets no event, since it is not asked a second time.
func armedOnce() func(verbs.EventCQ) error {
	armed := false
	return func(q verbs.EventCQ) error {
		if armed {
			return nil
		}
		armed = true
		return q.Arm()
	}
}

func oneAtATime() hooks {
	var busy atomic.Bool
	return hooks{registerMR: func(b verbs.Backend, pd verbs.Handle, mem []byte, a verbs.Access) (verbs.MR, error) {
		if !busy.CompareAndSwap(false, true) {
			return verbs.MR{}, unix.EAGAIN
		}
		defer busy.Store(false)
		time.Sleep(time.Millisecond)
		return b.RegisterMR(pd, mem, a)
	}}
}
