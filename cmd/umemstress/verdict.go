package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"umemstress/cmd/umemstress/internal/exit"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"umemstress/cmd/umemstress/internal/logfile"
	"umemstress/workload"
	"umemstress/workload/evidence"
	"umemstress/workload/record"
	"umemstress/workload/report"
	"umemstress/workload/triage"
)

func newVerdictCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "verdict DIR",
		Short: "Judge the evidence of a run again, on any machine",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return exit.UsageError(fmt.Errorf("verdict takes one evidence directory, not %d arguments", len(args)))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			record, err := evidence.Reexamine(cmd.Context(), args[0], workload.Scenarios().Facts, logrus.StandardLogger())
			if err != nil {
				return err
			}
			err = printRecord(cmd.OutOrStdout(), format, record, args[0])
			return errors.Join(judgedStatus(record), err)
		},
	}
	addFormatFlag(cmd.Flags(), &format)
	return cmd
}

// judgedStatus is the verdict's, and of a run that ended without one for want of something
// on its host that of such a run.
func judgedStatus(r *record.Record) error {
	if r.HostLacked() {
		return exit.Status(exit.HostLacks)
	}
	return verdictStatus(r.Verdict)
}

func newTriageCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "triage FILE|-",
		Short: "Say whether a kernel's log tells of this bug, and what to do now",
		Long: `Reads a log of any kernel: a console, dmesg, vmcore-dmesg, pstore, syslog, journalctl in any
text form (-o export and -o json, too), or a mail with one in it, wrapped and quoted. It may be
cut off, without times, and of several boots; gzip, bzip2 and zstd are unpacked. - is standard
input:

  journalctl -k -b -1 -o export | umemstress triage -

It says whether the log tells of this bug and how surely, which lines say so, which program and
holder, which fixes the kernel lacks, what reproduces it here, and what to do meanwhile. The
answer comes from the kernel's words, never from its version.

Exit code: that of the verdict which the log bears out, 14 crashed, 12 data-lost, 11 reproduced
or 10 exposed, where it is certain or likely; 4 where it is only possible or nothing was found; 0
where the log is of another bug.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return exit.Usagef("triage takes one log, or - for standard input, not %d arguments", len(args))
			}
			if args[0] == "" {
				return exit.Usagef("triage: the name of the log is empty; name a file, or - for standard input")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			d, err := logfile.Read(cmd.Context(), args[0], cmd.InOrStdin(), diagnose)
			if err != nil {
				return err
			}
			if format == "json" {
				err = printJSON(cmd.OutOrStdout(), d)
			} else {
				err = report.Diagnosis(cmd.OutOrStdout(), d)
			}
			if err != nil {
				return err
			}
			if code := d.Status(); code != exit.Clean {
				return exit.Status(code)
			}
			return nil
		},
	}
	addFormatFlag(cmd.Flags(), &format)
	return cmd
}

// diagnose says what a log tells, with what this version knows of scenarios.
func diagnose(ctx context.Context, log io.Reader) (*triage.Diagnosis, error) {
	return triage.Read(ctx, log, workload.Scenarios())
}
