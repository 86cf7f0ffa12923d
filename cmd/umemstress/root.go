package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"umemstress/cmd/umemstress/internal/exit"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"umemstress/cmd/umemstress/internal/completion"
	"umemstress/cmd/umemstress/internal/job"
	"umemstress/cmd/umemstress/internal/lending"
	"umemstress/cmd/umemstress/internal/observing"
	"umemstress/cmd/umemstress/internal/peering"
	"umemstress/cmd/umemstress/internal/provoking"
	"umemstress/cmd/umemstress/internal/reporting"
)

// version is set by the Makefile from git describe.
var version = "devel"

// execute runs the command line args and returns the exit code. The result goes
// to stdout alone, everything else to stderr.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	result := &resultWriter{Writer: stdout}
	root := newRootCommandTo(result)
	if isTerminal(stdout) { // what is written there has a reader, and may have to be one
		root = newRootCommandTo(stdout)
	}
	root.SetArgs(args)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	failed := err
	var status exit.Status
	if err == nil || errors.As(err, &status) {
		failed = result.failed()
	}
	if failed != nil {
		fmt.Fprintf(stderr, "umemstress: %s\n", exit.Told(failed, args))
	}
	if cmd.CommandPath() == bisectPath {
		return exit.BisectCode(errors.Join(err, result.failed()))
	}
	return exit.Code(errors.Join(err, result.failed()))
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// resultWriter remembers that the result could not be written: cobra does not look, nor
// does who prints a line.
type resultWriter struct {
	io.Writer
	mu  sync.Mutex // who writes to a pipe that nobody reads may still be at it in the end
	err error
}

func (w *resultWriter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("write the result: %w", err)
	}
	return n, err
}

// failed is the first error of a write.
func (w *resultWriter) failed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// newRootCommand is the command line for who only reads it.
func newRootCommand() *cobra.Command { return newRootCommandTo(io.Discard) }

// newRootCommandTo takes the writer of the results now, as cobra's own commands keep the
// one that there is when they are made.
func newRootCommandTo(result io.Writer) *cobra.Command {
	var verbose bool
	var logFormat string
	root := &cobra.Command{
		Use:           "umemstress",
		Short:         "Reproduce, observe and prove data loss on pages pinned behind a file system's back",
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := refuseEmpty(cmd); err != nil {
				return err
			}
			return setUpLog(cmd.ErrOrStderr(), verbose, logFormat)
		},
	}
	root.PersistentFlags().BoolVarP(&verbose, "verbose", "v", false, "log what is done, step by step")
	root.PersistentFlags().StringVar(&logFormat, "log-format", "text", "format of the log on stderr: text or json")
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages ", fmt.Sprintf(".FlagUsagesWrapped %d ", helpColumns)))
	root.SetFlagErrorFunc(flagError)
	root.SetOut(result)
	root.AddCommand(newRunCommand(), peering.Command(version, preparePeer, noArguments), job.Command(prepareJob), job.BridgeCommand(), observing.Command(observingHost()), provoking.Command(noArguments), reporting.Command(version), newScenariosCommand(), newVerdictCommand(), newTriageCommand(), newLabCommand(), newSoftRoceCommand(), lending.Command(), newCheckCommand(), newVersionCommand())
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	strictArguments(root)
	completion.AddTo(root)
	return root
}

func observingHost() observing.Host {
	return observing.Host{Janitor: startJanitor, NoArguments: noArguments}
}

// helpColumns is how wide the help is at most.
const helpColumns = 100

// takesRunFlags are commands that run's flags follow, with how they are begun.
var takesRunFlags = map[string]string{"umemstress lab run": "umemstress lab run", "umemstress job": "umemstress job --dir DIR"}

func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if before, takes := takesRunFlags[cmd.CommandPath()]; takes && errors.As(err, &unknown) && runHas(cmd.Root(), unknown) {
		return exit.Usagef("%w; it is one of run's, which follow --, as in: %s -- --preset quick", err, before)
	}
	return exit.Usagef("%w; see '%s --help'", err, cmd.CommandPath())
}

// runHas says whether what the command lab run does not know is a flag of run.
func runHas(root *cobra.Command, unknown *pflag.NotExistError) bool {
	run, _, err := root.Find([]string{"run"})
	if err != nil {
		return false
	}
	if letters := unknown.GetSpecifiedShortnames(); letters != "" {
		return run.Flags().ShorthandLookup(letters[:1]) != nil
	}
	return run.Flags().Lookup(unknown.GetSpecifiedName()) != nil
}

// strictArguments makes wrong arguments of every command a usage error. Cobra has help
// in place of one, and an error without a kind, where a command has only subcommands.
func strictArguments(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		strictArguments(sub)
	}
	if cmd.Name() == "help" {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			found, rest, _ := cmd.Root().Find(args) // what is wrong, the rest tells
			return noSuchCommand(found, rest)
		}
		return
	}
	if !cmd.Runnable() {
		cmd.Args = noSuchCommand
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		return
	}
	if validate := cmd.Args; validate != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			err := validate(cmd, args)
			var kind interface{ Usage() bool }
			if err == nil || errors.As(err, &kind) {
				return err
			}
			return exit.Usagef("%w; see '%s --help'", err, cmd.CommandPath())
		}
	}
}

func noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := fmt.Sprintf("see '%s --help'", cmd.CommandPath())
	cmd.SuggestionsMinimumDistance = 2 // as cobra itself has it
	if near := cmd.SuggestionsFor(args[0]); args[0] != "" && len(near) > 0 {
		hint = "did you mean " + strings.Join(near, " or ") + "?"
	}
	return exit.Usagef("unknown command %q for %q; %s", args[0], cmd.CommandPath(), hint)
}

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Say which version this is, as --version does",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s version %s\n", cmd.Root().Name(), cmd.Root().Version)
			return err
		},
	}
}

func setUpLog(stderr io.Writer, verbose bool, format string) error {
	logrus.SetOutput(stderr)
	if verbose {
		logMore()
	}
	switch format {
	case "text":
		logrus.SetFormatter(&logrus.TextFormatter{DisableTimestamp: true})
	case "json":
		logrus.SetFormatter(&logrus.JSONFormatter{})
	default:
		return exit.UsageError(fmt.Errorf("--log-format %q: choose text or json", format))
	}
	return nil
}

// logMore logs what --verbose asks for.
func logMore() { logrus.SetLevel(logrus.DebugLevel) }

// mayBeEmpty are flags for which an empty value says something.
var mayBeEmpty = []string{"append"}

// refuseEmpty refuses flags that were given an empty value, as by a script's unset variable:
// to go on as if they were not given is to do something else than was meant.
func refuseEmpty(cmd *cobra.Command) (err error) {
	cmd.Flags().Visit(func(flag *pflag.Flag) {
		if err == nil && !slices.Contains(mayBeEmpty, flag.Name) && emptyValue(flag.Value) {
			err = exit.Usagef("--%s: its value is empty; give one, or leave the flag out", flag.Name)
		}
	})
	return err
}

func emptyValue(value pflag.Value) bool {
	if list, ok := value.(pflag.SliceValue); ok {
		values := list.GetSlice()
		return len(values) == 0 || slices.Contains(values, "")
	}
	return value.String() == ""
}
