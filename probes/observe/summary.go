package observe

import (
	"cmp"
	"maps"
	"slices"

	"umemstress/probes/event"
	"umemstress/probes/mapped"
)

// A Summary is what was counted since observe began. Its numbers do not depend on the events
// having been delivered.
type Summary struct {
	Seconds float64 `json:"seconds"`
	Events  uint64  `json:"events"` // that were told
	Sums    []Sum   `json:"sums"`   // by holder and file system, without those that write nothing back
	// Regions of files.
	Pinned   uint64 `json:"pinned_regions"`
	Refused  uint64 `json:"refused_regions"`
	Released uint64 `json:"released_regions"`
	Lost     Losses `json:"lost"`

	filtered bool // lines were chosen, which the sums are not
	wanted   Hit  // the worst of the events in them
}

// Losses are what could not be delivered, counted or told.
type Losses struct {
	event.Lost
	// Output is events that were not told: too many waited for who reads, or they could not be
	// written.
	Output uint64 `json:"output"`
}

// Any says whether anything was lost.
func (l Losses) Any() bool { return l != Losses{} }

// A Sum is of the pages of one holder on one file system.
type Sum struct {
	Holder     string `json:"holder"`     // "": not known
	Filesystem string `json:"filesystem"` // "": of detached pages
	Stripped   uint64 `json:"stripped_pages"`
	Dirtied    uint64 `json:"dirtied_pages"`
	// Of the dirtied ones.
	Bufferless  uint64 `json:"bufferless_pages"`
	Unannounced uint64 `json:"unannounced_pages"`
	Detached    uint64 `json:"detached_pages"`
	// Dropped are folios: a large one gives one warning, whatever its size.
	Dropped uint64 `json:"dropped_folios"`
}

// A Hit is how bad the worst was that was seen.
type Hit int

// The hits, least first.
const (
	NoHit Hit = iota
	HitUnannounced
	HitBufferless
	HitDropped
)

// hitOf is how bad an event is.
func hitOf(e event.Event) Hit {
	switch {
	case e.Kind == event.Dropped:
		return HitDropped
	case e.Kind != event.Dirtied:
		return NoHit
	case e.Bufferless:
		return HitBufferless
	case e.Unannounced || e.Detached:
		return HitUnannounced
	}
	return NoHit
}

// Hit is the worst that was seen of what was asked for. Where events that might have been of it did
// not arrive it is the worst of all, as the sums have it, which do not know of a Filter.
func (s *Summary) Hit() Hit {
	if s.filtered && s.Lost.Events == 0 {
		return s.wanted
	}
	worst := NoHit
	for _, sum := range s.Sums {
		switch {
		case sum.Dropped > 0:
			worst = max(worst, HitDropped)
		case sum.Bufferless > 0:
			worst = max(worst, HitBufferless)
		case sum.Unannounced > 0 || sum.Detached > 0:
			worst = max(worst, HitUnannounced)
		}
	}
	return worst
}

// Total is of all holders and file systems.
func (s *Summary) Total() (total Sum) {
	for _, sum := range s.Sums {
		total.add(sum)
	}
	return total
}

func (s *Sum) add(other Sum) {
	s.Stripped += other.Stripped
	s.Dirtied += other.Dirtied
	s.Bufferless += other.Bufferless
	s.Unannounced += other.Unannounced
	s.Detached += other.Detached
	s.Dropped += other.Dropped
}

type sumKey struct{ holder, filesystem string }

// sums adds counts up by holder and file system: there are few of these, however long it takes.
type sums map[sumKey]Sum

func (s sums) add(counts []event.Count) {
	for _, c := range counts {
		if mapped.InMemory(c.Filesystem) {
			continue
		}
		key := sumKey{holderWords[c.Holder], c.Filesystem}
		sum := s[key]
		sum.Holder, sum.Filesystem = key.holder, key.filesystem
		sum.add(Sum{
			Stripped: c.StrippedPages, Dirtied: c.DirtiedPages, Bufferless: c.BufferlessPages,
			Unannounced: c.UnannouncedPages, Detached: c.DetachedPages, Dropped: c.DroppedFolios,
		})
		s[key] = sum
	}
}

func (s sums) list() []Sum {
	return slices.SortedFunc(maps.Values(s), func(a, b Sum) int {
		return cmp.Or(cmp.Compare(a.Holder, b.Holder), cmp.Compare(a.Filesystem, b.Filesystem))
	})
}
