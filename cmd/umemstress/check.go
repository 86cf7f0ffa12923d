package main

import (
	"github.com/spf13/cobra"

	"umemstress/cmd/umemstress/internal/check"
	"umemstress/cmd/umemstress/internal/exit"
)

func newCheckCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say what this host allows: devices, privileges, probes, file systems, the lab",
		Long: `Looks at this host and says what can be done on it, what is missing, what that
costs and how to get it. It changes nothing and needs no privilege. It does not say
whether data is lost on this kernel: only a run can tell.

Exit codes: 0 something can be done here (a run or the lab), 2 usage, 3 nothing.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			document, err := check.Here()
			if err != nil {
				return err
			}
			if format == "json" {
				err = printJSON(cmd.OutOrStdout(), document)
			} else {
				err = document.Text(cmd.OutOrStdout())
			}
			if err != nil {
				return err
			}
			return abilitiesStatus(document.Can)
		},
	}
	addFormatFlag(cmd.Flags(), &format)
	return cmd
}

// abilitiesStatus is the exit code: only a host on which nothing can be done lacks
// something.
func abilitiesStatus(can check.Abilities) error {
	if !can.Some() {
		return exit.Status(exit.HostLacks)
	}
	return nil
}
