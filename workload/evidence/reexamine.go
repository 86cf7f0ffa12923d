package evidence

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/sirupsen/logrus"

	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/printable"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// Known tells the facts of a scenario, and whether all of its parts are known.
type Known func(scenario.Scenario) (scenario.Facts, bool)

// Reexamine judges the evidence in dir again, which may be anybody's. The record's verdict
// is the one that follows from its channels; it is an error if the record says another.
// What logs in dir tell of the kernel's death counts as well, since whoever died could not
// record it: the guest's console, or a vmcore-dmesg that was put there afterwards.
// What the streamed files miss, or tell otherwise, changes nothing, since the record counts
// what the kernel counted: it is logged, and stands among the record's disagreements.
// Evidence from before facts were recorded is judged by those that the caller knows, which
// is logged as well.
func Reexamine(ctx context.Context, dir string, known Known, log logrus.FieldLogger) (*record.Record, error) {
	return Interruptible(ctx, func() (*record.Record, error) {
		r, strangeFacts, err := judgeAgain(dir, known, log)
		if err != nil {
			return nil, err
		}
		differences, err := compareStreams(ctx, dir, r)
		if err != nil {
			return nil, err
		}
		for _, d := range differences {
			log.Warnf("%s: %s", printable.Text(dir), printable.Text(d))
		}
		if err := join(ctx, dir, r, log); err != nil {
			return nil, err
		}
		r.Disagreements = slices.Concat(r.Disagreements, strangeFacts, differences)
		return r, nil
	})
}

// join judges with what the kernel said of its death.
func join(ctx context.Context, dir string, r *record.Record, log logrus.FieldLogger) (err error) {
	before := r.Channels.Console
	if r.Channels.Console, err = readConsoles(ctx, dir); err != nil {
		return err
	}
	if r.Channels.Console.State == record.StateAbsent {
		r.Channels.Console = before // it was recorded, and the logs were not copied
	}
	recorded := r.Verdict
	r.Conclude()
	if r.Verdict != recorded {
		log.Warnf("%s: what %s tells of the kernel's death makes %s of %s", printable.Text(dir),
			strings.Join(r.Channels.Console.Files, " and "), r.Verdict, recorded)
	}
	return nil
}

// judgeAgain judges what the record says. The facts that it does not take for what this
// version does are returned.
func judgeAgain(dir string, known Known, log logrus.FieldLogger) (_ *record.Record, strangeFacts []string, _ error) {
	r, err := Load(dir)
	if err != nil {
		return nil, nil, err
	}
	shown := printable.Text(dir)
	facts, all := known(r.Scenario)
	if !all {
		return nil, nil, fault.Usagef("%s: this version does not know the scenario %q; judge it with the version that wrote it", shown, r.Scenario)
	}
	if r.Facts == nil {
		log.Infof("%s: the record has no facts of its scenario: it is judged by what this version knows", shown)
		r.Facts = &facts
	}
	if r.Facts.Deadly == nil {
		r.Facts.Deadly = facts.Deadly // evidence from before deaths were recorded has none to rejudge
	}
	recorded := r.Verdict
	r.Conclude()
	if recorded != "" && recorded != r.Verdict {
		return nil, nil, fmt.Errorf("%s: the record says %s, but its channels amount to %s (%s); the evidence was changed, or written by another version",
			shown, recorded, r.Verdict, printable.Text(r.Reason))
	}
	return r, differentFacts(*r.Facts, facts), nil
}

// differentFacts says which facts the record does not take for what this version does. Those
// of the record stand, since what is learnt later is to rejudge nothing.
func differentFacts(recorded, known scenario.Facts) (differences []string) {
	for _, f := range []struct {
		name            string
		recorded, known bool
	}{
		{"in_memory", recorded.InMemory, known.InMemory},
		{"drops_bufferless", recorded.DropsBufferless, known.DropsBufferless},
		{"heals", recorded.Heals, known.Heals},
		{"detaches", recorded.Detaches, known.Detaches},
	} {
		if f.recorded != f.known {
			differences = append(differences, fmt.Sprintf("the record has the fact %s as %t, and this version as %t", f.name, f.recorded, f.known))
		}
	}
	return differences
}

// compareStreams says where the streamed files and the record differ. Names of stacks that
// the record has no more of, because the machine died first, are taken from the events.
func compareStreams(ctx context.Context, dir string, r *record.Record) ([]string, error) {
	differences, stacks, err := compareEvents(ctx, dir, r)
	if err != nil {
		return nil, err
	}
	for id, frames := range stacks {
		if len(r.Channels.Probes.Stacks[id]) > 0 {
			continue
		}
		if r.Channels.Probes.Stacks == nil {
			r.Channels.Probes.Stacks = map[int32][]string{}
		}
		r.Channels.Probes.Stacks[id] = frames
	}
	more, err := compareLog(ctx, dir, r)
	return append(differences, more...), err
}
