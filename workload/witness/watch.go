// Package witness watches while a run goes: the probes, the kernel's log, ext4's count of
// its warnings, and the machine's count of dirty pages. A new witness is a file here and a
// channel in package record.
package witness

import (
	"context"
	"errors"
	"maps"
	"os"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"umemstress/probes/event"
	"umemstress/probes/kmsg"
	"umemstress/probes/kmsg/devkmsg"
	"umemstress/workload/record"
)

// Watch is the channels that watch while the run goes: the probes' events, the
// kernel's log and ext4's own count of its warnings. What they say is written to the
// evidence as it comes, since the machine may not live until the end.
type Watch struct {
	file     record.File
	comm     string // of the run's own threads
	pid      uint32 // of the run
	counted  bool   // its pins are, by every kernel
	evidence Evidence
	log      logrus.FieldLogger
	kmsg     *devkmsg.Reader
	observer Observer
	unsynced chan struct{} // has one when lines wait to be put on disk

	mu       sync.Mutex // guards what follows, between the phases and the followers
	failed   error      // to write the evidence, the first time
	counter  kmsg.Counter
	deaths   kmsg.Deaths
	died     func() // the kernel, in a thread, or it hangs; nil: told already
	blames   func(record.Channels) bool
	channels record.Channels // Probes, Kmsg and WarningCount alone
	stacks   map[int32][]string
	unnamed  []event.Event // one of each stack whose functions have no names yet

	stop    context.CancelFunc
	stopped sync.WaitGroup
	naming  sync.WaitGroup // of stacks
}

// Evidence is where what is seen goes: evidence.Directory.
type Evidence interface {
	AddEvent(event.Event) error
	AddStack(id int32, frames []string) error
	AddKmsg(line string) error
	// Sync puts on disk what was added before. It may take as long as the disk does.
	Sync() error
}

const (
	// pumpInterval is how long what the kernel has said may lie unread. It is put on disk as
	// soon as it is read, and events as they come: writeback may kill the machine seconds later.
	pumpInterval = 200 * time.Millisecond
	// syncSpacing is how long one sync is after another, so that events that come by thousands
	// do not keep the disk from the run.
	syncSpacing = 20 * time.Millisecond
	// nameBound is how long the end of a phase waits for the names of stacks.
	nameBound = 2 * time.Second
)

// Config says what to watch, and where what is seen goes.
type Config struct {
	Probes   *Pending
	Required bool // it is an error if there are no probes
	File     record.File
	Comm     string // what the kernel calls the threads of the run
	// PinsCounted: see scenario.Facts. Where it is false, that no page was seen to be
	// stripped tells nothing.
	PinsCounted bool
	DAX         bool // see scenario.Facts
	Evidence    Evidence
	Log         logrus.FieldLogger
	// Died is called once, soon after the kernel has said that a thread of it died, or that one hangs in
	// a way that Blames has for the run's.
	Died   func()
	Blames func(record.Channels) bool
}

// Start opens the channels for a file.
func Start(c Config) (*Watch, error) {
	w := &Watch{file: c.File, comm: c.Comm, pid: uint32(os.Getpid()), counted: c.PinsCounted, evidence: c.Evidence, log: c.Log, unsynced: make(chan struct{}, 1), stop: func() {}, stacks: map[int32][]string{}, died: c.Died, blames: c.Blames}
	w.counter.Device = c.File.Device
	w.openKmsg()
	w.openWarningCount()
	if err := w.attach(c.Probes, c.Required); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	if c.DAX && w.observer != nil {
		w.channels.Probes.Why = withoutCache(w.channels.Probes.Why)
	}
	ctx, stop := context.WithCancel(context.Background())
	w.stop = stop
	w.follow(ctx)
	return w, nil
}

// follow moves what the witnesses say into the evidence until they are stopped.
func (w *Watch) follow(ctx context.Context) {
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
	w.stopped.Go(func() { w.keepSyncing(ctx) })
}

// syncSoon has what was added put on disk in the background.
func (w *Watch) syncSoon() {
	select {
	case w.unsynced <- struct{}{}:
	default: // the sync that is due will do it, too
	}
}

// keepSyncing puts on disk what the followers have added. It has no lock meanwhile, so that
// a slow disk makes nobody wait for it.
func (w *Watch) keepSyncing(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.unsynced:
		}
		w.mustWrite(w.evidence.Sync())
		select {
		case <-ctx.Done():
			return
		case <-time.After(syncSpacing):
		}
	}
}

// mustWrite keeps the first error of writing the evidence: each later one is the same again.
func (w *Watch) mustWrite(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fail(err)
}

// fail is mustWrite for who holds the lock.
func (w *Watch) fail(err error) {
	if w.failed == nil {
		w.failed = err
	}
}

// Pump moves what the kernel has said by now into the evidence. A channel that breaks says so
// in its state.
func (w *Watch) Pump(ctx context.Context) {
	w.pumpKmsg()
	var drained error
	if w.observer != nil {
		drained = w.observer.Drain(ctx)
	}
	w.mu.Lock()
	w.breaks(drained)
	named := w.nameStacks()
	w.mu.Unlock()
	select { // the machine may die in the next phase
	case <-named:
	case <-ctx.Done():
	case <-time.After(nameBound):
	}
}

// Sync puts the evidence on disk. It fails if any of it could not be written.
func (w *Watch) Sync() error {
	w.mustWrite(w.evidence.Sync())
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failed
}

// Tally puts all that was witnessed so far into the channels of a record.
func (w *Watch) Tally(c *record.Channels) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tallyKmsg()
	w.tallyWarningCount()
	w.tallyProbes()
	w.channels.Probes.Stacks = maps.Clone(w.stacks)
	c.Probes, c.Kmsg, c.WarningCount = w.channels.Probes, w.channels.Kmsg, w.channels.WarningCount
	c.Kmsg.WarningsBefore, c.Kmsg.WarningsAfter = c.WarningCount.Before, c.WarningCount.After
}

// Close stops following. The probes stay attached. It may be called twice.
func (w *Watch) Close() error {
	if w == nil {
		return nil
	}
	w.stop()
	w.stopped.Wait()
	w.naming.Wait()
	log := w.kmsg
	w.kmsg = nil
	if log == nil {
		return nil
	}
	return log.Close()
}
