package main

import (
	"context"
	"errors"
	"fmt"

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
func (l *labRun) in(cmd *cobra.Command, config lab.Config) error {
	err := runGuest(cmd, config)
	var died *lab.CrashError
	if errors.As(err, &died) {
		err = l.judgeDeath(cmd, died)
	}
	return errors.Join(err, l.flags.reports.Save(func(inconclusive ci.Outcome) ci.Report {
		return reportOf([]scenarioOutcome{l.outcome(cmd.Context(), err)}, inconclusive)
	}))
}

// judgeDeath says whether it was this run that the guest's kernel died of.
func (l *labRun) judgeDeath(cmd *cobra.Command, died *lab.CrashError) error {
	r, err := l.reexamine(cmd.Context())
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

func (l *labRun) reexamine(ctx context.Context) (*record.Record, error) {
	return evidence.Reexamine(ctx, l.dir, workload.Scenarios().Facts, logrus.StandardLogger())
}

// outcome is what became of the run, from the evidence that its guest left.
func (l *labRun) outcome(ctx context.Context, err error) scenarioOutcome {
	r, judged := l.reexamine(ctx)
	if judged == nil && r.Verdict != "" && r.Verdict.ExitCode() == exitCode(err) {
		return newOutcome(l.options, r, nil)
	}
	return newOutcome(l.options, nil, err)
}
