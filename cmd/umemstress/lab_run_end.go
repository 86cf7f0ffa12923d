package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"umemstress/soft-roce/lab"
	"umemstress/workload"
	"umemstress/workload/evidence"
	"umemstress/workload/record"
	"umemstress/workload/report/ci"
)

// labRun is a run in a guest, as the host sees it.
type labRun struct {
	program []string
	flags   *runFlags // of the run
	options workload.Options
	dir     string // of the evidence
}

// in runs it in a guest; its exit code becomes this command's. A guest whose kernel died of
// what the run did has no program left to say so: its console and what is on disk do.
func (l *labRun) in(cmd *cobra.Command, guest *guestFlags, config lab.Config) error {
	err := guest.runGuest(cmd, config)
	var died *lab.CrashError
	if errors.As(err, &died) {
		err = l.judgeDeath(cmd, died)
	}
	return errors.Join(err, l.flags.reports.Save(func(inconclusive ci.Outcome) ci.Report {
		return reportOf(l.outcomes(err), inconclusive)
	}))
}

// judgeDeath says whether it was this run that the guest's kernel died of.
func (l *labRun) judgeDeath(cmd *cobra.Command, died *lab.CrashError) error {
	r, err := evidence.Reexamine(cmd.Context(), l.dir, workload.Scenarios().Facts, logrus.StandardLogger())
	if err != nil {
		return fmt.Errorf("%w; %w", died, err)
	}
	ended, err := evidence.Load(l.dir)
	if err != nil {
		return errors.Join(died, err)
	}
	if r.Verdict != record.Crashed {
		return fmt.Errorf("%w; it was not seen to die of this run: %s (%s)", died, r.Verdict, r.Reason)
	}
	if err := evidence.SaveJudged(l.dir, r); err != nil {
		return errors.Join(statusError(r.Verdict.ExitCode()), err)
	}
	if ended.Verdict != "" { // and said so, before its kernel died
		return statusError(r.Verdict.ExitCode())
	}
	return errors.Join(statusError(r.Verdict.ExitCode()), printRecord(cmd.OutOrStdout(), l.flags.format, r, l.dir))
}

// outcomes are what became of the run's scenarios, from the evidence that its guest left.
func (l *labRun) outcomes(err error) []scenarioOutcome {
	if l.flags.preset != workload.Everything {
		return []scenarioOutcome{outcomeOf(l.options, err)}
	}
	var outcomes []scenarioOutcome
	for _, e := range workload.Scenarios().All() {
		o := l.options
		o.Scenario, o.Output = e.Scenario, outputOf(l.dir, e.Scenario)
		if _, missing := os.Stat(o.Output); missing == nil {
			outcomes = append(outcomes, outcomeOf(o, err))
		}
	}
	return outcomes
}

// outcomeOf is that of one scenario, of a command that ended with err. Without a verdict, the
// reason is what ended the command, or else where the record ends, or why there is none.
func outcomeOf(o workload.Options, err error) scenarioOutcome {
	r, missing := evidence.Load(o.Output)
	if missing == nil && r.Verdict != "" {
		return newOutcome(o, r, nil)
	}
	outcome := scenarioOutcome{Scenario: o.Scenario, Evidence: o.Output, Exit: exitCode(err)}
	switch {
	case err != nil && !errors.As(err, new(statusError)):
		outcome.Reason = err.Error()
	case missing != nil:
		outcome.Reason = missing.Error()
	default:
		r.Conclude()
		outcome.Reason = r.Reason
	}
	return outcome
}
