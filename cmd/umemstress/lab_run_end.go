package main

import (
	"errors"
	"fmt"
	"os"

	"umemstress/cmd/umemstress/internal/exit"

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
		err = l.judgeDeath(cmd, died, config.Serial)
	}
	return errors.Join(err, l.flags.reports.Save(func(inconclusive ci.Outcome) ci.Report {
		return reportOf(l.outcomes(err), inconclusive)
	}))
}

// judgeDeath says whether it was this run that the guest's kernel died of.
func (l *labRun) judgeDeath(cmd *cobra.Command, died *lab.CrashError, console string) error {
	dir, err := l.dyingDir()
	if err != nil {
		return fmt.Errorf("%w; %w", died, err)
	}
	ended, err := evidence.Load(dir)
	if err != nil {
		return fmt.Errorf("%w; %w", died, err)
	}
	if err := evidence.AdoptConsole(dir, console); err != nil {
		return fmt.Errorf("%w; %w", died, err)
	}
	r, err := evidence.Reexamine(cmd.Context(), dir, workload.Scenarios().Facts, logrus.StandardLogger())
	if err != nil {
		return fmt.Errorf("%w; %w", died, err)
	}
	if r.Verdict != record.Crashed {
		return fmt.Errorf("%w; it was not seen to die of this run: %s (%s)", died, r.Verdict, r.Reason)
	}
	err = exit.Status(r.Verdict.ExitCode())
	if failed := evidence.SaveJudged(dir, r); failed != nil {
		return errors.Join(err, failed)
	}
	switch {
	case l.flags.preset == workload.Everything:
		return errors.Join(err, printOutcomes(cmd.OutOrStdout(), l.flags.format, l.outcomes(err)))
	case ended.Verdict != "": // and said so, before its kernel died
		return err
	}
	return errors.Join(err, printRecord(cmd.OutOrStdout(), l.flags.format, r, dir))
}

// dyingDir has the evidence of the run that the guest died in: of many, the one that had
// begun and had no verdict yet, or else the last one.
func (l *labRun) dyingDir() (string, error) {
	if l.flags.preset != workload.Everything {
		return l.dir, nil
	}
	last := ""
	for _, e := range workload.Scenarios().All() {
		dir := outputOf(l.dir, e.Scenario)
		if _, err := os.Stat(dir); err != nil {
			continue
		}
		if r, err := evidence.Load(dir); err != nil || r.Verdict == "" {
			return dir, err
		}
		last = dir
	}
	if last == "" {
		return "", errors.New("no scenario had begun")
	}
	return last, nil
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
	outcome := scenarioOutcome{Scenario: o.Scenario, Evidence: o.Output, Exit: exit.Code(err)}
	switch {
	case err != nil && !errors.As(err, new(exit.Status)):
		outcome.Reason = err.Error()
	case missing != nil:
		outcome.Reason = missing.Error()
	default:
		r.Conclude()
		outcome.Reason = r.Reason
	}
	return outcome
}
