package observe

import (
	"time"

	"umemstress/probes/event"
)

const (
	// gatherFor is how long an event may wait for one that continues it.
	gatherFor = 100 * time.Millisecond
	// maxGathered is how many events wait at once.
	maxGathered = 64
)

// A gatherer makes one event of those of consecutive pages: reclaim strips a region, and
// writeback drops it, page by page, and a direct read releases it bio by bio. And it makes one of a
// pin and the number that its region gets.
type gatherer struct {
	waiting []gathered // oldest first
	deliver func(event.Event)
}

type gathered struct {
	event.Event
	until time.Time
}

// add takes an event. One that is about the file of those that wait comes behind them.
func (g *gatherer) add(e event.Event, now time.Time) {
	if e.Kind == event.Numbered {
		g.number(e)
		return
	}
	if !comesInParts(e) {
		g.flush(func(w gathered) bool { return comesBehind(w.Event, e) })
		if getsNumber(e) {
			g.wait(e, now)
		} else {
			g.deliver(e)
		}
		return
	}
	for i := range g.waiting {
		if w := &g.waiting[i]; continues(w.Event, e) {
			w.Index = min(w.Index, e.Index)
			w.Pages += e.Pages
			w.Folios += e.Folios
			return
		}
	}
	g.wait(e, now)
}

func (g *gatherer) wait(e event.Event, now time.Time) {
	if len(g.waiting) == maxGathered {
		g.deliver(g.waiting[0].Event)
		g.waiting = g.waiting[1:]
	}
	g.waiting = append(g.waiting, gathered{e, now.Add(gatherFor)})
}

// comesBehind says whether what waits is to be told before b: what is of b's thread or file. A pin that
// waits for its number is in no hurry while others pin the same file.
func comesBehind(waits, b event.Event) bool {
	switch {
	case waits.TID == b.TID:
		return true
	case waits.Inode != b.Inode:
		return false
	case getsNumber(waits):
		return b.Kind == event.Dirtied || b.Kind == event.Released && b.Owner.PID == waits.Owner.PID
	}
	return true
}

// getsNumber says whether the kernel may be about to tell the number of what was pinned: it gives one
// to an RDMA region once its driver is done with it, within the same call.
func getsNumber(e event.Event) bool {
	return e.Kind == event.Pinned && e.Holder == event.HolderUmem && e.Region.PinnedNS != 0 && e.Region.MRN == nil
}

// number delivers the pin that the number is of, if that waits yet.
func (g *gatherer) number(e event.Event) {
	g.flush(func(w gathered) bool {
		is := w.Kind == event.Pinned && w.TID == e.TID && w.Region.PinnedNS == e.Region.PinnedNS
		if is {
			w.Region.MRN = e.Region.MRN
		}
		return is
	})
}

// comesInParts says whether others may continue the event. Of other holders than direct reads
// a run is whole already, and the machine may not live for long after it.
func comesInParts(e event.Event) bool {
	return e.Kind == event.Stripped || e.Kind == event.Dropped || e.Kind == event.Dirtied && e.Holder == event.HolderDIO
}

// continues says whether b is of the pages before or behind a's, and else the same.
func continues(a, b event.Event) bool {
	return a.Kind == b.Kind && a.Inode == b.Inode && a.Holder == b.Holder && a.Owner == b.Owner &&
		a.PID == b.PID && a.TID == b.TID &&
		a.Bufferless == b.Bufferless && a.Unannounced == b.Unannounced && a.Detached == b.Detached &&
		(a.Index+a.Pages == b.Index || b.Index+b.Pages == a.Index)
}

// next is when the first has waited long enough; false: none waits.
func (g *gatherer) next() (time.Time, bool) {
	if len(g.waiting) == 0 {
		return time.Time{}, false
	}
	return g.waiting[0].until, true
}

// pass delivers what has waited long enough.
func (g *gatherer) pass(now time.Time) {
	g.flush(func(w gathered) bool { return !now.Before(w.until) })
}

// flush delivers those that are chosen, oldest first.
func (g *gatherer) flush(chosen func(gathered) bool) {
	kept := g.waiting[:0]
	for _, w := range g.waiting {
		if chosen(w) {
			g.deliver(w.Event)
		} else {
			kept = append(kept, w)
		}
	}
	g.waiting = kept
}

func (g *gatherer) flushAll() { g.flush(func(gathered) bool { return true }) }
