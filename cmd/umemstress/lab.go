package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
)

func newLabCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lab",
		Short: "Try everything in a QEMU guest with soft-RoCE, on any kernel",
	}
	cmd.AddCommand(newLabRunCommand(), newLabExecCommand(), newLabMatrixCommand(), newLabCompareCommand(), newLabKernelsCommand(), newLabBuildCommand(), newLabBisectCommand(), newLabConfigCommand())
	for _, sub := range cmd.Commands() {
		run := sub.RunE
		sub.RunE = func(cmd *cobra.Command, args []string) error { return interrupted(run(cmd, args)) }
	}
	return cmd
}

// interruptedError has a person's word for what ended the lab.
type interruptedError struct{ error }

func (interruptedError) Error() string   { return "interrupted" }
func (e interruptedError) Unwrap() error { return e.error }

func interrupted(err error) error {
	if errors.Is(err, context.Canceled) {
		return interruptedError{err}
	}
	return err
}

const labExitCodes = `Exit codes: those of the program, 128+n if signal n ended it; 2 usage, 3 this
host lacks something, 20 the guest's kernel crashed, 21 the lab could not boot
the guest or its time was up, 130 interrupted. When the guest's kernel crashed or
the lab failed, what the guest's console said is kept in a file, for a week, which
the message names; --serial chooses another.`
