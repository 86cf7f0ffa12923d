package main

import (
	"github.com/spf13/cobra"

	"umemstress/workload"
)

// newHogCommand is what a run with the strip "pressure" starts as its child; nobody
// else has a use for it.
func newHogCommand() *cobra.Command {
	return &cobra.Command{
		Use:    workload.HogCommand,
		Short:  "Take memory as told on stdin (part of the strip pressure)",
		Hidden: true,
		Args:   noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return workload.Hog(cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
}
