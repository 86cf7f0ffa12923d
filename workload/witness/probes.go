package witness

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"umemstress/probes/event"
	"umemstress/workload/internal/fault"
	"umemstress/workload/record"
)

func (w *Watch) attach(probes *Pending, required bool) error {
	channel := &w.channels.Probes
	observer, err := probes.wait()
	var lacks interface{ HostLacks() bool }
	switch {
	case err == nil:
		w.observer = observer
		channel.State, channel.Why = record.StateOK, inWords(observer.Unseen())
		if err := observer.SetFilter(event.Filter{Files: []event.Inode{w.inode()}}); err != nil {
			return fmt.Errorf("have the probes watch the run's own file: %w", err)
		}
		return nil
	case required && errors.Is(err, errSwitchedOff):
		return fault.Usagef("--observe require: the probes are %w", err)
	case required: // of what kind the error is, it says itself
		return fmt.Errorf("--observe require: %w", err)
	case errors.Is(err, errSwitchedOff):
	case errors.As(err, &lacks) && lacks.HostLacks():
		w.log.Warnf("the probes are absent: %v", err)
	default: // a defect of ours is not for the host to bear
		return fmt.Errorf("attach the probes: %w; --observe off goes without them", err)
	}
	channel.State, channel.Why = record.StateAbsent, err.Error()
	return nil
}

// inWords says what is not seen.
func inWords(unseen map[event.Kind]string) string {
	sentences := slices.Sorted(maps.Values(unseen))
	return strings.Join(sentences, "; ")
}

// withoutCache adds to what is not seen what there is not, where a file's pages are those of its device.
func withoutCache(unseen string) string {
	const nothing = "the file is mapped directly (DAX), where nothing is written back or reclaimed: a page that is marked dirty is marked for nobody"
	if unseen == "" {
		return nothing
	}
	return nothing + "; " + unseen
}

// inode is the run's file.
func (w *Watch) inode() event.Inode {
	return event.Inode{Device: w.file.Dev, Number: w.file.Inode}
}

// own says whether it is the run's pages that were counted or told of. Detached ones no longer
// say whose they were, but who held them.
func (w *Watch) own(file event.Inode, owner uint32) bool {
	return file == w.inode() || file == event.Inode{} && owner == w.pid
}

// addEvent adds one of the run. Others that no file is known of pass the probes' filter.
func (w *Watch) addEvent(ev event.Event) {
	if !w.own(ev.Inode, ev.Owner.PID) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.channels.Probes.Events++
	w.fail(w.evidence.AddEvent(ev))
	w.syncSoon()
	if _, known := w.stacks[ev.StackID]; !known && ev.StackID >= 0 {
		w.stacks[ev.StackID] = nil
		w.unnamed = append(w.unnamed, ev)
	}
}

// nameStacks has the stacks that are new named in the background, and returns what is closed
// when they are; the caller holds the lock. That waits for the end of a phase: to read the
// probes' maps amid releases could make them miss some.
func (w *Watch) nameStacks() <-chan struct{} {
	named := make(chan struct{})
	unnamed := w.unnamed
	w.unnamed = nil
	if len(unnamed) == 0 {
		close(named)
		return named
	}
	w.naming.Go(func() {
		defer close(named)
		for _, ev := range unnamed {
			w.nameStack(ev)
		}
	})
	return named
}

// nameStack names the functions of an event's stack, in the evidence as well: an event that
// is all that is left of a run is to tell where it came from. Reading the kernel's symbols
// for it takes long.
func (w *Watch) nameStack(ev event.Event) {
	if err := w.observer.Symbolise(&ev); err != nil {
		w.log.Debugf("stack %d stays without names: %v", ev.StackID, err)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stacks[ev.StackID] = ev.Stack
	w.fail(w.evidence.AddStack(ev.StackID, ev.Stack))
	w.syncSoon()
}

// NamedStacks returns the stacks once all of them have their names.
func (w *Watch) NamedStacks() map[int32][]string {
	w.naming.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.stacks)
}

// breaks marks the probes as broken; the caller holds the lock.
func (w *Watch) breaks(err error) {
	if err != nil && w.channels.Probes.State == record.StateOK {
		w.channels.Probes.State, w.channels.Probes.Why = record.StateFailed, err.Error()
	}
}

func (w *Watch) tallyProbes() {
	channel := &w.channels.Probes
	if channel.State != record.StateOK {
		return
	}
	counts, err := w.observer.Counts()
	var acts []event.Act
	if err == nil {
		acts, err = w.observer.Acts()
	}
	var lost event.Lost
	if err == nil {
		lost, err = w.observer.Lost()
	}
	if err != nil {
		channel.State, channel.Why = record.StateFailed, err.Error()
		return
	}
	channel.LostEvents, channel.LostCounts, channel.LostStrips = lost.Events, lost.Pages+lost.Releases, lost.Strips
	w.count(counts)
	channel.Acts = w.ownActs(acts)
}

// count puts what was counted of the run's pages into the channel. What nobody could see is not
// counted as nothing.
func (w *Watch) count(counts []event.Count) {
	channel, unseen := &w.channels.Probes, w.observer.Unseen()
	file := event.Of(counts, w.inode())
	channel.BufferlessPages = file.BufferlessPages
	channel.UnannouncedPages = file.UnannouncedPages
	channel.DirtiedPages = file.DirtiedPages
	channel.BufferlessFolios = file.BufferlessFolios
	channel.DirtiedFolios = file.DirtiedFolios
	if unseen[event.Stripped] == "" && (w.counted || file.StrippedPages > 0) {
		channel.StrippedPages, channel.StrippedFolios = &file.StrippedPages, &file.StrippedFolios
	}
	if unseen[event.Dropped] == "" {
		channel.DroppedFolios = &file.DroppedFolios
	}
	channel.DetachedPages = 0
	for _, c := range counts {
		if c.Inode == (event.Inode{}) && w.own(c.Inode, c.PID) {
			channel.DetachedPages += c.DetachedPages
		}
	}
}

// ownActs are what was done to the run's pages: by kind, and the most of each first.
func (w *Watch) ownActs(acts []event.Act) (own []record.Act) {
	for _, a := range acts {
		if !w.own(a.Inode, a.Owner.PID) {
			continue
		}
		act := record.Act{Event: a.Kind, Actor: record.Process{PID: int(a.PID), Comm: a.Comm}, Pages: a.Pages, Folios: a.Folios}
		if a.Owner.PID != 0 {
			act.Owner = &record.Process{PID: int(a.Owner.PID), Comm: a.Owner.Comm}
		}
		if a.Kind == event.Dropped {
			act.Pages = 0 // of how many the folios are is not told
		}
		own = append(own, act)
	}
	slices.SortFunc(own, func(a, b record.Act) int {
		return cmp.Or(cmp.Compare(a.Event, b.Event), cmp.Compare(b.Folios, a.Folios), cmp.Compare(a.Actor.PID, b.Actor.PID))
	})
	return own
}
