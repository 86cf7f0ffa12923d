// Package witness watches while a run goes: the probes, the kernel's log, ext4's count of
// its warnings, and the machine's count of dirty pages. A new witness is a file here and a
// channel in package record.
package witness

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"umemstress/probes/event"
	"umemstress/probes/kmsg"
	"umemstress/workload/evidence"
	"umemstress/workload/record"
)

// Watch is the channels that watch while the run goes: the probes' events, the
// kernel's log and ext4's own count of its warnings. What they say is written to the
// evidence as it comes, since the machine may not live until the end.
type Watch struct {
	file     record.File
	evidence *evidence.Directory
	log      logrus.FieldLogger
	kmsg     *kmsg.Reader
	observer Observer

	mu       sync.Mutex // guards what follows, between the phases and the followers
	failed   error      // to write the evidence
	counter  kmsg.Counter
	oopses   kmsg.Oopses
	died     func()          // the kernel, in a thread; nil: told already
	channels record.Channels // Probes, Kmsg and WarningCount alone
	stacks   map[int32][]string
	unnamed  []event.Event // one of each stack whose functions have no names yet

	stop    context.CancelFunc
	stopped sync.WaitGroup
	naming  sync.WaitGroup // of stacks
}

// pumpInterval is how long a witnessed line may stay in memory: short enough to
// be on disk when writeback, seconds later, kills the machine.
const pumpInterval = 200 * time.Millisecond

// Config says what to watch, and where what is seen goes.
type Config struct {
	Probes   *Pending
	Required bool // it is an error if there are no probes
	File     record.File
	Evidence *evidence.Directory
	Log      logrus.FieldLogger
	Died     func() // called once, soon after the kernel has said that a thread of it died
}

// Start opens the channels for a file.
func Start(c Config) (*Watch, error) {
	w := &Watch{file: c.File, evidence: c.Evidence, log: c.Log, stop: func() {}, stacks: map[int32][]string{}, died: c.Died}
	w.counter.Device = c.File.Device
	w.oopses.Comm = ownComm()
	w.openKmsg()
	w.openWarningCount()
	if err := w.attach(c.Probes, c.Required); err != nil {
		return nil, errors.Join(err, w.Close())
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
}

// Pump moves what the kernel has said by now into the evidence, on disk. Only a failure
// to write the evidence is an error; a channel that breaks says so in its state.
func (w *Watch) Pump(ctx context.Context) error {
	w.pumpKmsg()
	var drained error
	if w.observer != nil {
		drained = w.observer.Drain(ctx)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.breaks(drained)
	w.nameStacks()
	return errors.Join(w.failed, w.evidence.Sync())
}

// Tally puts all that was witnessed so far into the channels of a record.
func (w *Watch) Tally(c *record.Channels) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tallyKmsg()
	w.tallyWarningCount()
	w.tallyProbes()
	c.Probes, c.Kmsg, c.WarningCount = w.channels.Probes, w.channels.Kmsg, w.channels.WarningCount
	c.Kmsg.WarningsBefore, c.Kmsg.WarningsAfter = c.WarningCount.Before, c.WarningCount.After
}

// Close stops following. The probes stay attached. It may be called twice.
func (w *Watch) Close() error {
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
