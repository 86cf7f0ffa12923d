// Package observe tells what happens to the pages that programs pin: it turns what the probes
// witness into lines with owners, paths and stacks, and sums them up.
//
// It changes nothing, and runs beside somebody else's program. Its memory is bounded, however
// long it runs.
package observe

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/probes/event"
	"umemstress/probes/mapped"
)

// Source is what witnesses: a session of package probes.
type Source interface {
	// Events delivers events as they come, until ctx is done.
	Events(ctx context.Context, deliver func(event.Event)) error
	// Drain returns when the events sent before it was called are delivered.
	Drain(ctx context.Context) error
	// Symbolise fills in the event's kernel stack, and ForgetStacks makes room for others.
	Symbolise(*event.Event) error
	ForgetStacks() error
	// Owns says who holds pages of a file, where nobody was seen to pin them.
	Owns(file event.Inode, holder string, owner event.Owner) error
	// Totals reads all that was counted; TakeCounts takes it by file, holder and owner.
	Totals() (event.Totals, error)
	TakeCounts() ([]event.Count, error)
	Lost() (event.Lost, error)
}

// Config says what to tell, and to whom.
type Config struct {
	Source Source
	Hooks  []Hook // where the source is attached, for the first line
	Host   *Host  // that is watched, for the first line; nil: not known
	// Rehooked delivers a function when it is attached elsewhere than before, which says where, and may
	// give up privileges that are no longer needed: nothing else is asked of the source meanwhile, so that
	// what it tries without them is refused to nobody else. nil: that does not change.
	Rehooked <-chan func() []Hook
	Filter   Filter
	Stacks   bool   // name the functions of stacks
	Limit    uint64 // ends after so many events; 0: none
	// Write is given the lines by a goroutine of their own, and may take its time: some thousand
	// wait for it, those for which there is no room are counted as lost, and everything else
	// goes on. An error of it ends the observation, unless it wraps ErrNotWritten.
	Write func(Line) error
	// Idle is called in between, by the same goroutine, several times a second; nil: nobody is.
	Idle func() error
	// Tell is given the lines, too, and waited for; nil: nobody is. An error of it ends the
	// observation.
	Tell   func(Line) error
	Count  func(Summary) error // is given the sums at least once a second, if they have changed; nil: nobody is
	Proc   string              // "": Proc
	Cgroup string              // "": CgroupRoot
}

const (
	// countEvery is how often the sums are taken.
	countEvery = time.Second
	// maxStacks is how many stacks are remembered. The kernel's table has room for 256, and
	// hashes them.
	maxStacks = 160
	// waiting is how many events may wait to be told.
	waiting = 8192
)

var errLimit = errors.New("enough events were told")

// An observer is one observation.
type observer struct {
	Config
	outlet   *outlet
	registry *registry
	cgroups  cgroups
	gatherer gatherer
	stacks   map[int32][]string
	sizes    map[event.Inode]uint64 // pages of a folio, of files that have large ones
	worst    Hit                    // of the events that are wanted
	sums     sums
	begun    time.Time
	told     uint64       // events that the outlet took
	counted  event.Totals // when the sums were taken last
	summary  Summary
	gap      bool   // events were not put into it since it took one
	said     Losses // that it has a line of
	unsaid   uint64 // lines that it could not write, when it was given that
	failed   error
}

// Run tells what happens until ctx is done, which is no error, and returns the sums. The last
// line is that of the summary, also if it fails. Who reads no more is not waited for; then the
// error wraps ErrUnread.
func Run(ctx context.Context, c Config) (Summary, error) {
	if c.Proc == "" {
		c.Proc = Proc
	}
	if c.Cgroup == "" {
		c.Cgroup = CgroupRoot
	}
	o := &observer{
		Config: c, outlet: newOutlet(c.Write, c.Idle), registry: newRegistry(c.Proc), cgroups: cgroups{root: c.Cgroup}, stacks: map[int32][]string{},
		sizes: map[event.Inode]uint64{}, sums: sums{}, begun: time.Now(),
	}
	o.gatherer.deliver = o.tell
	o.say(Line{Event: Started, Host: c.Host, Hooks: c.Hooks, PinnedBefore: pinners(c.Proc)})
	o.follow(ctx)
	if err := o.count(); err != nil {
		o.fail(err)
	}
	if errors.Is(o.failed, errLimit) {
		o.failed = nil
	}
	o.end()
	return o.summary, o.failed
}

// end tells the sums. Only then is it known how many events were not written.
func (o *observer) end() {
	sums := o.summary
	last := stamped(Line{Event: Ended, Summary: &sums})
	o.outlet.lines <- last // has room to spare
	if err := o.outlet.end(); err != nil {
		o.fail(err)
	}
	written := o.outlet.written.Load()
	o.summary.Events, o.summary.Lost.Output = written, o.outlet.refused+o.told-written
	last.Summary = &o.summary
	o.tellAtOnce(last)
	if o.summary.Lost != sums.Lost && o.Count != nil {
		if err := o.Count(o.summary); err != nil {
			o.fail(err)
		}
	}
	if errors.Is(o.failed, ErrUnread) {
		o.failed = fmt.Errorf("observe: %w: %s and the sums are not told", o.failed, count(o.summary.Lost.Output, "event"))
	}
}

// timeOfDay turns the time of an event, which is of the monotonic clock, into one of the clock on
// the wall. That is asked for each event: it can be set meanwhile, and the other one stands still
// while the machine sleeps.
func timeOfDay(ns uint64) time.Time {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) != nil {
		return time.Now()
	}
	return time.Now().Round(0).Add(time.Duration(int64(ns) - now.Nano()))
}

func (o *observer) fail(err error) {
	if o.failed == nil {
		o.failed = err
	}
}

// follow tells events until ctx is done or something fails; what had come until then is told.
func (o *observer) follow(ctx context.Context) {
	events := make(chan event.Event, waiting)
	reading, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	ended := make(chan error, 1)
	go func() {
		ended <- o.Source.Events(reading, func(e event.Event) { events <- e })
		close(events)
	}()
	gathered := time.NewTimer(gatherFor) // goes off when something has waited long enough, and only then:
	gathered.Stop()                      // who has nothing to do is to take nothing
	defer gathered.Stop()
	awaited := false
	drained := make(chan time.Time, 1) // what was sent until then has come
	var passing time.Time              // what has waited until then is to be told, once these have been taken:
	behind := 0
	count := time.NewTicker(countEvery)
	defer count.Stop()
	for o.failed == nil {
		if !passing.IsZero() && behind == 0 {
			o.gatherer.pass(passing)
			passing, awaited = time.Time{}, false
		}
		if next, waits := o.gatherer.next(); waits && !awaited {
			gathered.Reset(time.Until(next))
			awaited = true
		}
		select {
		case <-ctx.Done():
			o.finish(events, stop, ended)
			return
		case rehook := <-o.Rehooked:
			o.say(Line{Event: Rehooked, Hooks: rehook()})
		case <-o.outlet.ended:
			o.fail(o.outlet.err)
		case e, open := <-events:
			if !open {
				o.fail(errors.Join(errors.New("the probes ended"), <-ended))
				return
			}
			o.take(e)
			behind = max(0, behind-1)
		case now := <-gathered.C:
			// What continues an event may have been sent in time and not be here: this process may have stood still.
			go func() {
				_ = o.Source.Drain(reading) // if it cannot be waited for, what is here counts
				drained <- now
			}()
		case passing = <-drained:
			behind = len(events)
		case <-count.C:
			if err := o.count(); err != nil {
				o.fail(err)
			}
		}
	}
	stop()
	for range events { // which nobody wants any more
	}
	<-ended
}

// finish has the events delivered that were sent until now, and tells them; if nobody reads, for a
// moment.
func (o *observer) finish(events <-chan event.Event, stop context.CancelFunc, ended <-chan error) {
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = o.Source.Drain(ctx) // what it did not wait for comes all the same, or is lost
		stop()
	}()
	reader := progress{of: o.outlet, at: time.Now()}
	for e := range events {
		if reader.stopped() {
			o.outlet.refused++
			continue
		}
		o.take(e)
	}
	o.gatherer.flushAll()
	if err := <-ended; err != nil {
		o.fail(err)
	}
}

// take gathers an event. One that tells of a dropped folio does not say of how many pages.
func (o *observer) take(e event.Event) {
	switch e.Kind {
	case event.Dirtied:
		o.noteSize(e)
	case event.Dropped:
		e.Pages = max(o.sizes[e.Inode], 1)
	}
	o.gatherer.add(e, time.Now())
}

// tell completes an event and tells it, if it is wanted.
func (o *observer) tell(e event.Event) {
	if o.failed != nil {
		return
	}
	before := e.Kind == event.Pinned && e.Region.PinnedNS == 0
	if before && !o.registry.locate(&e) || e.Kind != event.Refused && mapped.InMemory(e.Filesystem) {
		return
	}
	if before {
		if err := o.Source.Owns(e.Inode, e.Holder, e.Owner); err != nil {
			o.fail(err)
		}
	}
	if e.Kind == event.Pinned {
		o.registry.learn(e)
	}
	if e.Owner.PID == 0 && e.Holder == "" {
		o.registry.name(&e)
	}
	l := line(e, timeOfDay(e.TimeNS))
	o.complete(e, &l)
	if e.Kind == event.Released {
		o.registry.forget(e)
	}
	if !o.Filter.wants(&l) {
		return
	}
	o.worst = max(o.worst, hitOf(e))
	o.say(l)
	if o.Limit > 0 && o.told >= o.Limit {
		o.fail(errLimit)
	}
}

// noteSize keeps how large the folios of a file are: ext4 warns of one whatever its size.
func (o *observer) noteSize(e event.Event) {
	if e.Folios == e.Pages {
		return
	}
	if len(o.sizes) >= maxPaths {
		clear(o.sizes)
	}
	o.sizes[e.Inode] = e.Pages / e.Folios
}

// complete fills in what has to be asked for.
func (o *observer) complete(e event.Event, l *Line) {
	if e.Kind == event.Refused {
		l.Path = o.registry.at(e)
	} else {
		l.Path = o.registry.path(e)
	}
	if l.RDMADevice == "" && e.Holder == event.HolderUmem {
		l.RDMADevice = o.registry.pinnedAt(e).device
	}
	if e.Kind == event.Released && l.MRN == nil {
		l.MRN = o.registry.number(e)
	}
	if l.Owner != nil {
		l.Owner.Cgroup = o.cgroups.path(e.Owner.Cgroup)
	}
	if o.Stacks {
		l.Stack = o.stack(e)
	}
}

// stack names the functions of an event's stack. The kernel's table of them is emptied before
// it is full.
func (o *observer) stack(e event.Event) []string {
	if e.StackID < 0 {
		return nil
	}
	if known, ok := o.stacks[e.StackID]; ok {
		return known
	}
	if len(o.stacks) >= maxStacks {
		clear(o.stacks)
		if err := o.Source.ForgetStacks(); err != nil {
			o.fail(err)
		}
		return nil // it was in there
	}
	if o.Source.Symbolise(&e) != nil {
		return nil // the kernel hides its symbols, or has forgotten the stack
	}
	o.stacks[e.StackID] = e.Stack
	return e.Stack
}

// count takes the sums, if there is anything new. What was lost since the last time is told.
func (o *observer) count() error {
	totals, err := o.Source.Totals()
	if err != nil {
		return err
	}
	lost, err := o.Source.Lost()
	if err != nil {
		return err
	}
	if totals.Sum() != o.counted.Sum() {
		counts, err := o.Source.TakeCounts()
		if err != nil {
			return err
		}
		o.sums.add(counts)
	}
	o.counted = totals
	lost.Pins += o.registry.dropped
	news := lost != o.summary.Lost.Lost
	o.summary = Summary{
		Seconds: time.Since(o.begun).Seconds(), Events: o.told - o.outlet.lost.Load(), Sums: o.sums.list(),
		Lost:   Losses{Lost: lost, Output: o.outlet.unread()},
		Pinned: totals.Pinned, Refused: totals.Refused, Released: totals.Released,
		filtered: o.Filter != Filter{}, wanted: o.worst,
	}
	if news { // what was not written is no loss to who is waited for
		sums := o.summary
		o.tellAtOnce(stamped(Line{Event: Lost, Summary: &sums}))
	}
	o.sayLosses()
	if o.Count != nil {
		if err := o.Count(o.summary); err != nil {
			return fmt.Errorf("observe: %w", err)
		}
	}
	return nil
}
