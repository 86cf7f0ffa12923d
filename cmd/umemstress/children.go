package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"umemstress/workload"
)

// newChildCommands are what a run starts as its children; nobody else has a use for
// them.
func newChildCommands() []*cobra.Command {
	return []*cobra.Command{
		{
			Use:    workload.HogCommand,
			Short:  "Take memory as told on stdin (part of the strip pressure)",
			Hidden: true,
			Args:   noArguments,
			RunE: func(cmd *cobra.Command, _ []string) error {
				return workload.Hog(cmd.InOrStdin(), cmd.OutOrStdout())
			},
		},
		{
			Use:    workload.RemoveMappedCommand + " NAME",
			Short:  "Remove a device-mapper device of a run that was killed (part of the holder dio)",
			Hidden: true,
			Args: func(_ *cobra.Command, args []string) error {
				if len(args) != 1 {
					return usageError{fmt.Errorf("%s takes the name of a device, not %d arguments", workload.RemoveMappedCommand, len(args))}
				}
				return nil
			},
			RunE: func(_ *cobra.Command, args []string) error { return workload.RemoveMapped(args[0]) },
		},
	}
}
