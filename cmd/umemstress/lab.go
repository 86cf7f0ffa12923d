package main

import (
	"github.com/spf13/cobra"

	"umemstress/soft-roce/lab"
)

func newLabCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lab",
		Short: "Try everything in a QEMU guest with soft-RoCE, on any kernel",
	}
	cmd.AddCommand(newLabExecCommand())
	return cmd
}

func newLabExecCommand() *cobra.Command {
	var flags guestFlags
	cmd := &cobra.Command{
		Use:   "exec [flags] -- PROGRAM [ARG]...",
		Short: "Run any program of the host in a guest with a soft-RoCE device",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			config, err := flags.config(cmd.Context())
			if err != nil {
				return err
			}
			config.Program = args
			config.Stdout = cmd.OutOrStdout()
			config.Stderr = cmd.ErrOrStderr()
			result, err := lab.Run(cmd.Context(), config)
			if err != nil {
				return err
			}
			if result.ExitCode != 0 {
				return statusError(result.ExitCode)
			}
			return nil
		},
	}
	flags.register(cmd.Flags())
	cmd.Flags().SetInterspersed(false)
	cmd.Flags().BoolVar(&flags.noDevice, "no-device", false, "leave the guest without an RDMA device")
	return cmd
}
