package workload

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/sirupsen/logrus"
)

// run is a scenario under way. Its fields appear phase by phase; Close takes
// down whatever is there.
type run struct {
	options  Options
	record   *Record
	evidence *evidence
	payload  payload

	scratch  *scratch
	target   *target
	clone    *os.File // of the target; nil without reflink
	file     *region
	anon     *region
	probes   *attachment
	watch    *witnesses
	holder   holder
	stripper stripper
}

// Run drives the scenario through its phases and returns what was witnessed,
// judged. The evidence directory holds the same. An error means that there is
// no verdict: the options were wrong, the host lacks something, or the run was
// interrupted (context.Canceled); the record then says how far it came.
func Run(ctx context.Context, o Options) (*Record, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	record, err := newRecord(o)
	if err != nil {
		return nil, err
	}
	evidence, err := createEvidence(o.Output)
	if err != nil {
		return nil, err
	}
	r := &run{options: o, record: record, evidence: evidence, payload: newPayload(o, record.Host.PageSize)}
	err = r.drive(ctx)
	r.conclude()
	err = errors.Join(err, r.Close(), r.evidence.saveRecord(r.record), r.evidence.Close())
	return r.record, err
}

func newRecord(o Options) (*Record, error) {
	kernel, host, err := readHost()
	if err != nil {
		return nil, err
	}
	return &Record{
		Schema:   Schema,
		Tool:     o.Tool,
		Kernel:   kernel,
		Host:     host,
		Started:  time.Now().UTC(),
		Scenario: o.Scenario,
		Settings: o.settings(),
		Channels: Channels{
			Probes: ProbesChannel{State: StateAbsent},
			Kmsg:   KmsgChannel{State: StateAbsent},
			Disk:   DiskChannel{State: StateAbsent},
			Clone:  CloneChannel{State: StateAbsent},
			Cache:  CacheChannel{State: StateAbsent},

			Accounting: AccountingChannel{State: StateAbsent},
		},
	}, nil
}

// drive runs the phases in order. A phase that was refused or had no effect ends
// the run without an error: that is a result.
func (r *run) drive(ctx context.Context) error {
	steps := map[string]func(context.Context) error{
		PhasePrepare:    r.prepare,
		PhasePin:        r.pin,
		PhaseWrite:      func(ctx context.Context) error { return r.write(ctx, 1) },
		PhaseClean:      r.amidTraffic(r.clean),
		PhaseStrip:      r.amidTraffic(r.strip),
		PhaseMutate:     r.mutate,
		PhaseWriteAgain: func(ctx context.Context) error { return r.write(ctx, 2) },
		PhaseRelease:    r.release,
		PhaseSettle:     r.settle,
		PhaseVerify:     r.verify,
	}
	for _, name := range Phases() {
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
	logrus.Debugf("phase %s", name)
	started := time.Now()
	r.record.Phases = append(r.record.Phases, Phase{Name: name, Started: started.UTC(), Outcome: OutcomeRunning})
	if err := r.evidence.saveRecord(r.record); err != nil {
		return false, err
	}
	phase := &r.record.Phases[len(r.record.Phases)-1]
	started = time.Now() // without the time that saving took
	err = do(ctx)
	phase.Seconds = time.Since(started).Seconds()
	phase.Outcome, phase.Detail, err = outcomeOf(ctx, err)
	r.noteHolds()
	return phase.Outcome == OutcomeDone, errors.Join(err, r.persist(ctx))
}

// noteHolds records how many calls were seen to hold, of a holder that pins for the time
// of a call.
func (r *run) noteHolds() {
	if t, ok := r.holder.(tallier); ok {
		r.record.Traffic.Attempts, r.record.Traffic.Hits = t.tally()
	}
}

// outcomeOf tells results from errors.
func outcomeOf(ctx context.Context, err error) (outcome, detail string, _ error) {
	var refused pinRefused
	switch {
	case err == nil:
		return OutcomeDone, "", nil
	case ctx.Err() != nil:
		return OutcomeInterrupted, "", ctx.Err()
	case errors.As(err, &refused):
		return OutcomeRefused, err.Error(), nil
	case isIneffective(err):
		return OutcomeIneffective, err.Error(), nil
	}
	return OutcomeFailed, err.Error(), err
}

// drainBound is how long the probes may take to hand over their events.
const drainBound = 5 * time.Second

// persist puts everything witnessed so far on disk, after an interruption too.
func (r *run) persist(ctx context.Context) error {
	if r.watch == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainBound)
	defer cancel()
	if err := r.watch.pump(ctx); err != nil {
		return err
	}
	r.record.Channels.Probes, r.record.Channels.Kmsg = r.watch.tally()
	return nil
}

// conclude completes the record and judges it.
func (r *run) conclude() {
	if r.watch != nil {
		r.record.Channels.Probes.Stacks = r.watch.namedStacks()
	}
	r.record.conclude()
}

// Close takes the run down, in the order in which its parts stand on each other.
func (r *run) Close() error {
	var errs []error
	if r.holder != nil {
		errs = append(errs, r.holder.Close())
	}
	errs = append(errs, r.watch.Close(), r.probes.Close(), r.file.Close(), r.anon.Close(), r.target.Close())
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
