package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
)

// version is set by the Makefile from git describe.
var version = "devel"

// execute runs the command line args and returns the exit code. The result goes
// to stdout alone, everything else to stderr.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	code := exitCode(err)
	var status statusError
	if err != nil && !errors.As(err, &status) {
		fmt.Fprintf(stderr, "umemstress: %v\n", err)
	}
	return code
}

func newRootCommand() *cobra.Command {
	var verbose bool
	var logFormat string
	root := &cobra.Command{
		Use:           "umemstress",
		Short:         "Reproduce, observe and prove data loss on pages pinned behind a file system's back",
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return setUpLog(cmd.ErrOrStderr(), verbose, logFormat)
		},
	}
	root.PersistentFlags().BoolVarP(&verbose, "verbose", "v", false, "log what is done, step by step")
	root.PersistentFlags().StringVar(&logFormat, "log-format", "text", "format of the log on stderr: text or json")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see '%s --help'", err, cmd.CommandPath())}
	})
	root.AddCommand(newRunCommand(), newScenariosCommand(), newVerdictCommand(), newLabCommand(), newSoftRoceCommand(), newCheckCommand())
	return root
}

func setUpLog(stderr io.Writer, verbose bool, format string) error {
	logrus.SetOutput(stderr)
	if verbose {
		logrus.SetLevel(logrus.DebugLevel)
	}
	switch format {
	case "text":
		logrus.SetFormatter(&logrus.TextFormatter{DisableTimestamp: true})
	case "json":
		logrus.SetFormatter(&logrus.JSONFormatter{})
	default:
		return usageError{fmt.Errorf("--log-format %q: choose text or json", format)}
	}
	return nil
}
