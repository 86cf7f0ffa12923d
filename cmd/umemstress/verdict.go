package main

import (
	"errors"
	"fmt"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"umemstress/workload"
	"umemstress/workload/evidence"
	"umemstress/workload/record"
)

func newVerdictCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "verdict DIR",
		Short: "Judge the evidence of a run again, on any machine",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("verdict takes one evidence directory, not %d arguments", len(args))}
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
		return statusError(exitHostLacks)
	}
	return verdictStatus(r.Verdict)
}
