package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newLabCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lab",
		Short: "Try everything in a QEMU guest with soft-RoCE, on any kernel",
	}
	cmd.AddCommand(newLabRunCommand(), newLabExecCommand(), newLabMatrixCommand(), newLabKernelsCommand())
	return cmd
}

const labExitCodes = `Exit codes: those of the program, 128+n if signal n ended it; 2 usage, 3 this
host lacks something, 20 the guest's kernel crashed, 21 the lab could not boot
the guest or its time was up, 130 interrupted.`

func usageErrorf(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}
