package main

import "github.com/spf13/cobra"

func newLabCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "lab",
		Short: "Try everything in a QEMU guest with soft-RoCE, on any kernel",
	}
}
