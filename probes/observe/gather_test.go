package observe

import (
	"context"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"umemstress/probes/event"
)

// page is an event of one page.
func page(kind event.Kind, index uint64) event.Event {
	return event.Event{Kind: kind, Inode: event.Inode{Device: 7 << 20, Number: 12}, Index: index, Pages: 1, Folios: 1, TID: 5, PID: 5}
}

// gathering collects what a gatherer delivers.
func gathering() (*gatherer, *[]event.Event) {
	var told []event.Event
	return &gatherer{deliver: func(e event.Event) { told = append(told, e) }}, &told
}

// What comes page by page, in whichever direction, is told as one, and no later than promised.
func TestGather(t *testing.T) {
	for name, indices := range map[string][]uint64{"upwards": {3, 4, 5, 6}, "downwards": {6, 5, 4, 3}, "both ways": {4, 5, 3, 6}} {
		g, told := gathering()
		begun := time.Now()
		for i, index := range indices {
			now := begun.Add(time.Duration(i) * gatherFor / 10)
			g.pass(now)
			g.add(page(event.Stripped, index), now)
		}
		if len(*told) != 0 {
			t.Errorf("%s: told %+v at once", name, *told)
		}
		g.pass(begun.Add(gatherFor))
		want := page(event.Stripped, 3)
		want.Pages, want.Folios = 4, 4
		if !reflect.DeepEqual(*told, []event.Event{want}) {
			t.Errorf("%s: told %+v, want %+v", name, *told, want)
		}
	}
}

// What is not the same is not told as the same.
func TestGatherKeepsApart(t *testing.T) {
	first := page(event.Dropped, 3)
	for name, change := range map[string]func(*event.Event){
		"another kind":   func(e *event.Event) { e.Kind = event.Stripped },
		"another file":   func(e *event.Event) { e.Inode.Number++ },
		"another device": func(e *event.Event) { e.Inode.Device++ },
		"a gap":          func(e *event.Event) { e.Index++ },
		"the same again": func(e *event.Event) { e.Index-- },
		"another thread": func(e *event.Event) { e.TID++ },
		"another owner":  func(e *event.Event) { e.Owner.PID++ },
		"another holder": func(e *event.Event) { e.Holder = event.HolderDIO },
		"without buffer": func(e *event.Event) { e.Bufferless = true },
		"unannounced":    func(e *event.Event) { e.Unannounced = true },
		"detached":       func(e *event.Event) { e.Detached = true },
	} {
		g, told := gathering()
		second := page(event.Dropped, 4)
		change(&second)
		g.add(first, time.Now())
		g.add(second, time.Now())
		g.flushAll()
		if !reflect.DeepEqual(*told, []event.Event{first, second}) {
			t.Errorf("%s: told %+v", name, *told)
		}
	}
}

// A release comes behind what happened to its file before, and the table does not grow.
func TestGatherOrderAndBound(t *testing.T) {
	g, told := gathering()
	g.add(page(event.Stripped, 3), time.Now())
	run := page(event.Dirtied, 3)
	run.Holder = event.HolderUmem
	g.add(run, time.Now())
	if len(*told) != 2 || (*told)[1].Kind != event.Dirtied {
		t.Errorf("told %+v: a run waits", *told)
	}
	g.add(page(event.Stripped, 9), time.Now())
	*told = nil
	released := event.Event{Kind: event.Released, Inode: event.Inode{Device: 7 << 20, Number: 12}, TID: 77}
	g.add(released, time.Now())
	if len(*told) != 2 || (*told)[0].Kind != event.Stripped || (*told)[1].Kind != event.Released {
		t.Errorf("told %+v", *told)
	}
	for i := range uint64(10 * maxGathered) {
		g.add(page(event.Stripped, 2*i), time.Now())
	}
	if len(g.waiting) != maxGathered || len(*told) != 2+9*maxGathered {
		t.Errorf("%d wait, %d are told", len(g.waiting), len(*told))
	}
	if last := (*told)[len(*told)-1]; last.Index != 2*(9*maxGathered-1) {
		t.Errorf("the last one told is %+v", last)
	}
}

// A pin waits for its region's number, for no other's, and no longer than promised; what its thread or
// its file is told of next comes behind it.
func TestGatherNumbers(t *testing.T) {
	pin := func(pinnedNS uint64) event.Event {
		e := pinned(40, 0x7f0000001000, 12)
		e.TID, e.Region.PinnedNS = 41, pinnedNS
		return e
	}
	numbered := func(pinnedNS uint64, number uint32) event.Event {
		e := pin(pinnedNS)
		e.Kind, e.Region.MRN = event.Numbered, &number
		return e
	}
	five := uint32(5)
	with := pin(1)
	with.Region.MRN = &five
	other, otherNumbered := pin(2), numbered(2, 5)
	other.TID, otherNumbered.TID = 42, 42
	dirtied := page(event.Dirtied, 0)
	dirtied.Holder, dirtied.Inode = event.HolderUmem, pin(1).Inode
	before, buffer := pin(0), pin(1)
	buffer.Holder, buffer.Region.Device = event.HolderV4L2, ""
	released := pin(1)
	released.Kind = event.Released
	begun := time.Now()
	for name, c := range map[string]struct{ given, want []event.Event }{
		"its number":              {[]event.Event{pin(1), numbered(1, 5)}, []event.Event{with}},
		"another's":               {[]event.Event{pin(1), numbered(2, 5)}, nil},
		"a number alone":          {[]event.Event{numbered(1, 5)}, nil},
		"its release":             {[]event.Event{pin(1), released}, []event.Event{pin(1), released}},
		"the next of its thread":  {[]event.Event{pin(1), pin(2), numbered(2, 5)}, []event.Event{pin(1), func() event.Event { e := pin(2); e.Region.MRN = &five; return e }()}},
		"amid others of its file": {[]event.Event{pin(1), other, numbered(1, 5), otherNumbered}, []event.Event{with, func() event.Event { e := other; e.Region = otherNumbered.Region; return e }()}},
		"what another dirties":    {[]event.Event{pin(1), dirtied}, []event.Event{pin(1), dirtied}},
		"pinned before":           {[]event.Event{before}, []event.Event{before}},
		"one that gets no number": {[]event.Event{buffer}, []event.Event{buffer}},
	} {
		g, told := gathering()
		for _, e := range c.given {
			g.add(e, begun)
		}
		if !reflect.DeepEqual(*told, c.want) {
			t.Errorf("%s: told %+v, want %+v", name, *told, c.want)
		}
		g.pass(begun.Add(gatherFor))
		if len(g.waiting) != 0 {
			t.Errorf("%s: %+v wait for longer than promised", name, g.waiting)
		}
	}
}

// numbering tells of a pin, and half the time that it may wait later of its number, or only when it is asked for
// all that was sent until then.
type numbering struct {
	recording
	unread   chan struct{} // nil: it reads at once
	rehooked chan func() []Hook
}

func (n *numbering) Events(ctx context.Context, deliver func(event.Event)) error {
	pin := pinned(40, 0x7f0000001000, 77)
	deliver(pin)
	if n.unread == nil {
		time.Sleep(gatherFor / 2)
	} else {
		<-n.unread
		for i := range uint64(50) { // which were sent before it, and are taken before it
			deliver(page(event.Stripped, 3*i))
		}
	}
	number := uint32(5)
	region := *pin.Region
	region.MRN = &number
	pin.Kind, pin.Region = event.Numbered, &region
	deliver(pin)
	if n.unread != nil {
		n.unread <- struct{}{}
	}
	<-ctx.Done()
	return nil
}

func (n *numbering) Drain(ctx context.Context) error {
	if n.unread != nil {
		n.rehooked <- func() []Hook { time.Sleep(gatherFor); return nil } // so that all has come when it goes on
		select {
		case n.unread <- struct{}{}:
			<-n.unread
			close(n.unread)
		case <-ctx.Done():
		}
		n.unread = nil
	}
	return nil
}

// A number that the kernel told in time is told with its pin, also where the observer stood still meanwhile, and finds it and the
// end of the wait at once, in either order, or has not read it yet.
func TestNumberWhileStandingStill(t *testing.T) {
	for i := range 30 {
		var told *uint32
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			rehooked := make(chan func() []Hook)
			source := &numbering{rehooked: rehooked}
			if i == 0 {
				source.unread = make(chan struct{})
			}
			go func() {
				time.Sleep(gatherFor / 4)
				rehooked <- func() []Hook { time.Sleep(3 * gatherFor); return nil }
			}()
			_, err := Run(ctx, Config{
				Source: source, Rehooked: rehooked, Proc: t.TempDir(), Cgroup: t.TempDir(),
				Write: func(l Line) error {
					if l.Event == string(event.Pinned) {
						told = l.MRN
					}
					return nil
				},
			})
			if err != nil {
				t.Error(err)
			}
		})
		if told == nil {
			t.Fatalf("a pin is told without the number that came in time (%d)", i)
		}
	}
}
