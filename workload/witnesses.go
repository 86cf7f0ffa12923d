package workload

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"umemstress/probes/event"
)

// witnesses are the channels that watch while the run goes: the probes' events
// and the kernel's log. Both are written to the evidence as they come, since the
// machine may not live until the end.
type witnesses struct {
	file     File
	evidence *evidence
	kmsg     *kmsgReader
	observer Observer

	mu       sync.Mutex // guards what follows, between the phases and the followers
	failed   error      // to write the evidence
	counter  kmsgCounter
	channels Channels // Probes and Kmsg alone
	stacks   map[int32][]string
	unnamed  []event.Event // one of each stack whose functions have no names yet

	stop    context.CancelFunc
	stopped sync.WaitGroup
	naming  sync.WaitGroup // of stacks
}

// pumpInterval is how long a witnessed line may stay in memory: short enough to
// be on disk when writeback, seconds later, kills the machine.
const pumpInterval = 200 * time.Millisecond

// startWitnesses opens the channels for a file.
func startWitnesses(probes *attachment, mode string, file File, e *evidence) (*witnesses, error) {
	w := &witnesses{file: file, evidence: e, stop: func() {}, stacks: map[int32][]string{}}
	w.counter.device = file.Device
	w.openKmsg()
	if err := w.attach(probes, mode); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	ctx, stop := context.WithCancel(context.Background())
	w.stop = stop
	w.follow(ctx)
	return w, nil
}

func (w *witnesses) openKmsg() {
	channel := &w.channels.Kmsg
	var err error
	if w.kmsg, err = openKmsg(); err == nil {
		channel.WarningsBefore, err = warningCount(w.file.Device)
	}
	if err != nil {
		channel.State, channel.Why = StateAbsent, err.Error()
		return
	}
	channel.State = StateOK
}

func (w *witnesses) attach(probes *attachment, mode string) error {
	channel := &w.channels.Probes
	observer, err := probes.wait()
	switch {
	case err == nil:
		w.observer = observer
		channel.State = StateOK
	case mode == ObserveRequire:
		return lacksf("--observe require: %w", err)
	default:
		if !errors.Is(err, errSwitchedOff) {
			logrus.Warnf("the probes are absent: %v", err)
		}
		channel.State, channel.Why = StateAbsent, err.Error()
	}
	return nil
}

// follow moves what the witnesses say into the evidence until they are stopped.
func (w *witnesses) follow(ctx context.Context) {
	if w.observer != nil {
		w.stopped.Go(func() {
			err := w.observer.Events(ctx, w.addEvent)
			w.mu.Lock()
			defer w.mu.Unlock()
			w.breaks(err)
		})
	}
	w.stopped.Go(func() {
		ticker := time.NewTicker(pumpInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				w.pumpKmsg()
			}
		}
	})
}

func (w *witnesses) addEvent(ev event.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.channels.Probes.Events++
	w.failed = errors.Join(w.failed, w.evidence.addEvent(ev))
	if _, known := w.stacks[ev.StackID]; !known && ev.StackID >= 0 {
		w.stacks[ev.StackID] = nil
		w.unnamed = append(w.unnamed, ev)
	}
}

// nameStacks has the stacks that are new named in the background; the caller holds the
// lock. That waits for the end of a phase: to read the probes' maps amid releases could
// make them miss some.
func (w *witnesses) nameStacks() {
	for _, ev := range w.unnamed {
		w.naming.Go(func() { w.nameStack(ev) })
	}
	w.unnamed = nil
}

// nameStack names the functions of an event's stack. Reading the kernel's symbols
// for it takes long.
func (w *witnesses) nameStack(ev event.Event) {
	if err := w.observer.Symbolise(&ev); err != nil {
		logrus.Debugf("stack %d stays without names: %v", ev.StackID, err)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stacks[ev.StackID] = ev.Stack
}

// namedStacks returns the stacks once all of them have their names.
func (w *witnesses) namedStacks() map[int32][]string {
	w.naming.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.stacks)
}

// breaks marks the probes as broken; the caller holds the lock.
func (w *witnesses) breaks(err error) {
	if err != nil && w.channels.Probes.State == StateOK {
		w.channels.Probes.State, w.channels.Probes.Why = StateFailed, err.Error()
	}
}

func (w *witnesses) pumpKmsg() {
	w.mu.Lock()
	defer w.mu.Unlock()
	channel := &w.channels.Kmsg
	for channel.State == StateOK {
		line, more, err := w.kmsg.next()
		if err != nil {
			channel.State, channel.Why = StateFailed, err.Error()
			return
		}
		if !more {
			return
		}
		w.counter.add(line)
		w.failed = errors.Join(w.failed, w.evidence.addKmsg(line))
	}
}

// pump moves what the kernel has said by now into the evidence, on disk. Only a failure
// to write the evidence is an error; a channel that breaks says so in its state.
func (w *witnesses) pump(ctx context.Context) error {
	w.pumpKmsg()
	var drained error
	if w.observer != nil {
		drained = w.observer.Drain(ctx)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.breaks(drained)
	w.nameStacks()
	return errors.Join(w.failed, w.evidence.sync())
}

// tally returns the channels with all that was witnessed so far.
func (w *witnesses) tally() (ProbesChannel, KmsgChannel) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tallyKmsg()
	w.tallyProbes()
	return w.channels.Probes, w.channels.Kmsg
}

func (w *witnesses) tallyKmsg() {
	channel := &w.channels.Kmsg
	if channel.State != StateOK {
		return
	}
	after, err := warningCount(w.file.Device)
	if err != nil {
		channel.State, channel.Why = StateFailed, err.Error()
		return
	}
	channel.WarningsAfter = after
	channel.BufferlessPages = w.counter.counts.BufferlessPages
	channel.Suppressed = w.counter.counts.Suppressed
	channel.Warnings = w.counter.counts.Warnings
	channel.LostRecords = w.kmsg.lost
}

func (w *witnesses) tallyProbes() {
	channel := &w.channels.Probes
	if channel.State != StateOK {
		return
	}
	channel.DetachedPages = 0
	var lost event.Lost
	counts, err := w.observer.Counts()
	if err == nil {
		lost, err = w.observer.Lost()
	}
	if err != nil {
		channel.State, channel.Why = StateFailed, err.Error()
		return
	}
	channel.LostEvents, channel.LostCounts = lost.Events, lost.Pages+lost.Releases
	for _, c := range counts {
		channel.DetachedPages += c.DetachedPages // what their file was is not known any more
		if c.Inode == (event.Inode{Device: w.file.Dev, Number: w.file.Inode}) {
			channel.BufferlessPages = c.BufferlessPages
			channel.UnannouncedPages = c.UnannouncedPages
			channel.DirtiedPages = c.DirtiedPages
		}
	}
}

// Close stops following. The probes stay attached. It may be called twice.
func (w *witnesses) Close() error {
	if w == nil || w.evidence == nil {
		return nil
	}
	w.stop()
	w.stopped.Wait()
	w.naming.Wait()
	var errs []error
	if w.kmsg != nil {
		errs = append(errs, w.kmsg.Close())
	}
	w.evidence = nil
	return errors.Join(errs...)
}
