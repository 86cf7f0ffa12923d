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

// in runs it in a guest; its exit code becomes this command's. A guest whose kernel died, or hangs,
// of what the run did has no program left to say so: its console and what is on disk do.
func (l *labRun) in(cmd *cobra.Command, guest *guestFlags, config lab.Config) error {
	err := guest.runGuest(cmd, config)
	var died *lab.CrashError
	var lost *lab.LabError
	switch {
	case errors.As(err, &died):
		err = l.judgeDeath(cmd, died, config.Serial)
	case errors.As(err, &lost):
		err = l.judgeLoss(cmd, lost, config.Serial)
	}
	return errors.Join(err, l.flags.reports.Save(func(inconclusive ci.Outcome) ci.Report {
		return reportOf(l.outcomes(err), inconclusive)
	}))
}

// judgeDeath says whether it was this run that the guest's kernel died of.
func (l *labRun) judgeDeath(cmd *cobra.Command, died *lab.CrashError, console string) error {
	j, err := l.judge(cmd, console)
	if err != nil {
		return fmt.Errorf("%w; %w", died, err)
	}
	if j.record.Verdict != record.Crashed {
		return fmt.Errorf("%w; it was not seen to die of this run: %s (%s)", died, j.record.Verdict, j.record.Reason)
	}
	return l.tellDeath(cmd, j)
}

// judgeLoss says whether a guest that the lab lost, as when its time was up, hangs in what this run
// did. A run that had not begun has no say in it.
func (l *labRun) judgeLoss(cmd *cobra.Command, lost *lab.LabError, console string) error {
	j, err := l.judge(cmd, console)
	if err != nil {
		logrus.Debugf("what was lost is not judged: %v", err)
		return lost
	}
	if j.record.Verdict != record.Crashed {
		return lost
	}
	return l.tellDeath(cmd, j)
}

// judged is the run that its guest did not survive.
type judged struct {
	dir    string
	said   record.Verdict // by the run; "": it did not get to that
	record *record.Record // with what the console has
}

// judge judges the run that was under way when its guest ended, with the guest's console.
func (l *labRun) judge(cmd *cobra.Command, console string) (j judged, err error) {
	if j.dir, err = l.dyingDir(); err != nil {
		return j, err
	}
	ended, err := evidence.Load(j.dir)
	if err != nil {
		return j, err
	}
	j.said = ended.Verdict
	if err := evidence.AdoptConsole(j.dir, console); err != nil {
		return j, err
	}
	j.record, err = evidence.Reexamine(cmd.Context(), j.dir, workload.Scenarios().Facts, logrus.StandardLogger())
	return j, err
}

// tellDeath saves that the run was judged to be what the kernel died of, and tells it, unless the run
// that had ended so did.
func (l *labRun) tellDeath(cmd *cobra.Command, j judged) error {
	err := error(exit.Status(j.record.Verdict.ExitCode()))
	if failed := evidence.SaveJudged(j.dir, j.record); failed != nil {
		return errors.Join(err, failed)
	}
	switch {
	case l.flags.preset == workload.Everything:
		return errors.Join(err, printOutcomes(cmd.OutOrStdout(), l.flags.format, l.outcomes(err)))
	case j.said != "": // and told, before its kernel died
		return err
	}
	return errors.Join(err, printRecord(cmd.OutOrStdout(), l.flags.format, j.record, j.dir))
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
