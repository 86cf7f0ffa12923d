package workload

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"umemstress/workload/evidence"
	"umemstress/workload/filesystem"
	"umemstress/workload/folio"
	"umemstress/workload/holder"
	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/memory"
	"umemstress/workload/latency"
	"umemstress/workload/payload"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
	"umemstress/workload/strip"
	"umemstress/workload/witness"
)

// run is a scenario under way. Its fields appear phase by phase; Close takes
// down whatever is there.
type run struct {
	options  Options
	record   *record.Record
	evidence *evidence.Directory
	payload  payload.Payload

	scratch  *filesystem.Scratch
	file     *filesystem.File
	clone    *os.File // of the target; nil without reflink
	region   *memory.Region
	anon     *memory.Region
	probes   *witness.Pending
	watch    *witness.Watch
	holder   holder.Holder
	folios   *folio.Pinned // that hold the region; nil: not pinned yet, or nobody could look
	stripper strip.Stripper
	changing *changing     // the mutation, where it waits for the holder; nil: it has returned
	died     chan struct{} // closed when a thread of the kernel died
	die      func()        // closes it, once
	progress holder.Progress
	latency  *latency.Histogram         // of the holder's operations
	looker   *payload.Looker            // at what arrives; nil: nobody has looked
	corrupt  map[uint64]map[uint64]bool // by generation: pages that came other than they were sent
}

// Run drives the scenario through its phases and returns what was witnessed,
// judged. The evidence directory holds the same. An error means that there is
// no verdict: the options were wrong, the host lacks something, or the run was
// interrupted (context.Canceled); the record then says how far it came. That the run could
// not be taken down takes no verdict back: the record says so (CleanupError).
//
// With VictimRemote the phases are the peer's, and the evidence is a copy of what comes from there.
//
// Of several candidates it is the run of the first that does harm; the record's Choice has the others.
func Run(ctx context.Context, o Options) (*record.Record, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if len(o.Candidates) > 0 {
		return (&search{options: o, run: runOne}).worst(ctx)
	}
	switch o.Victim {
	case VictimRemote:
		return runThere(ctx, o)
	case VictimBoth:
		return nil, fault.Usagef("--victim both: one run has its file on one host; this takes two")
	}
	return runOne(ctx, o)
}

// runOne runs one scenario, of options that were validated.
func runOne(ctx context.Context, o Options) (*record.Record, error) {
	o.Scenario.Folios = cmp.Or(o.Scenario.Folios, scenario.Natural)
	r := &run{options: o, died: make(chan struct{}), latency: latency.New()}
	r.die = sync.OnceFunc(func() { close(r.died) })
	var err error
	if r.record, err = newRecord(o); err != nil {
		return nil, err
	}
	if err := awaitWriters(ctx); err != nil { // to write evidence, too, would take for ever
		return nil, err
	}
	if r.evidence, err = evidence.Create(o.Output); err != nil {
		return nil, err
	}
	r.payload = payload.New(o.Seed, r.record.Host.PageSize, o.AnonBytes)
	err = r.drive(ctx)
	r.conclude()
	// On disk before anything is taken down: that may take minutes, or fail, or never end.
	err = also(err, r.evidence.SaveRecord(r.record))
	r.tellEvidence(err)
	if failed := r.takeDown(); failed != nil {
		r.record.CleanupError = failed.Error()
		if err != nil {
			err = errors.Join(err, failed)
		}
	}
	return r.record, also(also(err, r.evidence.SaveRecord(r.record)), r.evidence.Close())
}

// also adds an error to one, unless that says the same already: on a full disk each attempt to
// save the record fails alike.
func also(err, more error) error {
	if err != nil && more != nil && strings.Contains(err.Error(), more.Error()) {
		return err
	}
	return errors.Join(err, more)
}

// tellEvidence says where the evidence is of a run that has no verdict, but saw something.
func (r *run) tellEvidence(err error) {
	if err != nil && len(r.record.Phases) > 1 {
		r.options.log().Infof("the evidence until then is in %s", r.options.Output)
	}
}

// takeDown gives back what the run took, or leaves it where the kernel has died.
func (r *run) takeDown() error {
	defer r.tellStatus(CleanUp)()
	if r.kernelDied() {
		return r.leave()
	}
	return r.Close()
}

func newRecord(o Options) (*record.Record, error) {
	kernel, host, err := readHost()
	if err != nil {
		return nil, err
	}
	victim, err := o.victim()
	if err != nil {
		return nil, err
	}
	facts, _ := Scenarios().Facts(o.Scenario)
	if holds, _ := scenario.Find(holderKinds(), o.Scenario.Holder); holds.arrival != nil {
		facts.Arrival = holds.arrival(o)
	}
	return &record.Record{
		Schema:   record.Schema,
		Tool:     o.Tool,
		Kernel:   kernel,
		Host:     host,
		Victim:   victim,
		Process:  record.Process{PID: os.Getpid(), Comm: ownComm()},
		Started:  time.Now().UTC(),
		Scenario: o.Scenario,
		Choice:   o.choice,
		Facts:    &facts,
		Settings: o.settings(),
		Channels: record.NoChannels(),
	}, nil
}

// drive runs the phases in order. A phase that was refused or had no effect ends
// the run without an error: that is a result.
func (r *run) drive(ctx context.Context) error {
	steps := map[string]func(context.Context) error{
		scenario.PhasePrepare:    r.prepare,
		scenario.PhasePin:        r.pin,
		scenario.PhaseWrite:      func(ctx context.Context) error { return r.write(ctx, 1) },
		scenario.PhaseClean:      r.amidTraffic(r.clean),
		scenario.PhaseStrip:      r.amidTraffic(r.strip),
		scenario.PhaseMutate:     r.mutate,
		scenario.PhaseWriteAgain: func(ctx context.Context) error { return r.write(ctx, 2) },
		scenario.PhaseRelease:    r.release,
		scenario.PhaseSettle:     r.settle,
		scenario.PhaseVerify:     r.verify,
	}
	for _, name := range scenario.Phases() {
		if err := ctx.Err(); err != nil {
			return err
		}
		goOn, err := r.step(ctx, name, steps[name])
		if err != nil || !goOn {
			return err
		}
	}
	return nil
}

// step runs one phase, with its beginning and its end on disk.
func (r *run) step(ctx context.Context, name string, do func(context.Context) error) (goOn bool, err error) {
	r.options.log().Debugf("phase %s", name)
	defer r.tellStatus(name)() // what saves the evidence may hang as well
	started := time.Now()
	r.record.Phases = append(r.record.Phases, record.Phase{Name: name, Started: started.UTC(), Outcome: record.OutcomeRunning})
	phase := &r.record.Phases[len(r.record.Phases)-1]
	if err := r.evidence.SaveRecord(r.record); err != nil {
		phase.Outcome, phase.Detail = record.OutcomeFailed, err.Error()
		return false, err
	}
	started = time.Now() // without the time that saving took
	err = r.attend(ctx, name, do)
	phase.Seconds = time.Since(started).Seconds()
	phase.Gone = goneIn(err)
	phase.Outcome, phase.Detail, err = outcomeOf(ctx, err)
	phase.HostLacks = phase.Outcome == record.OutcomeFailed && hostLacks(err)
	r.noteHolds()
	if unwritten := r.persist(ctx); unwritten != nil {
		if phase.Complete() {
			phase.Outcome, phase.Detail = record.OutcomeFailed, unwritten.Error()
		}
		err = also(err, unwritten)
	}
	return phase.Complete(), err
}

// noteHolds records how many calls were seen to hold, of a holder that pins for the time
// of a call.
func (r *run) noteHolds() {
	if r.holder != nil && !r.kernelDied() {
		held := r.holder.Tally()
		r.record.Traffic.Attempts, r.record.Traffic.Held = held.Attempts, held.Held
	}
}

// outcomeOf tells results from errors.
func outcomeOf(ctx context.Context, err error) (outcome, detail string, _ error) {
	switch {
	case err == nil:
		return record.OutcomeDone, "", nil
	case errors.Is(err, errKernelDied) || goneIn(err) != "":
		return record.OutcomeCrashed, err.Error(), nil
	case ctx.Err() != nil:
		return record.OutcomeInterrupted, "", ctx.Err()
	case fault.IsPinRefused(err):
		return record.OutcomeRefused, err.Error(), nil
	case fault.IsWaiting(err):
		return record.OutcomeWaits, err.Error(), nil
	case fault.IsIneffective(err):
		return record.OutcomeIneffective, err.Error(), nil
	}
	return record.OutcomeFailed, err.Error(), err
}

// hostLacks says whether a run that ends with the error ends so for want of something on
// this host. What is also the caller's mistake is told as that.
func hostLacks(err error) bool {
	var lacks interface{ HostLacks() bool }
	var usage interface{ Usage() bool }
	return errors.As(err, &lacks) && lacks.HostLacks() && !(errors.As(err, &usage) && usage.Usage())
}

// drainBound is how long the probes may take to hand over their events.
const drainBound = 5 * time.Second

// persist puts everything witnessed so far on disk, after an interruption too. It is counted
// first and synced then, so that the record counts nothing that is not on disk before it.
func (r *run) persist(ctx context.Context) error {
	if r.watch == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainBound)
	defer cancel()
	r.watch.Pump(ctx)
	r.watch.Tally(&r.record.Channels)
	return r.watch.Sync()
}

// conclude completes the record and judges it.
func (r *run) conclude() {
	if r.watch != nil {
		r.record.Channels.Probes.Stacks = r.watch.NamedStacks()
	}
	r.record.Conclude()
}

// Close takes the run down, in the order in which its parts stand on each other: probes keep the
// modules of holders from being unloaded.
func (r *run) Close() error {
	errs := []error{r.watch.Close(), r.probes.Close()}
	if r.holder != nil {
		errs = append(errs, r.holder.Close())
	}
	errs = append(errs, r.leaveChange(), r.looker.Close(), r.region.Close(), r.anon.Close(), r.file.Close())
	if r.clone != nil {
		errs = append(errs, r.clone.Close())
	}
	if r.scratch != nil {
		errs = append(errs, r.scratch.Close())
	}
	if r.stripper != nil {
		errs = append(errs, r.stripper.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("clean up: %w", err)
	}
	return nil
}
