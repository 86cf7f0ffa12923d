package main

import (
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"umemstress/soft-roce/lab"
	"umemstress/workload/record"
)

func newLabRunCommand() *cobra.Command {
	var flags guestFlags
	cmd := &cobra.Command{
		Use:   "run [flags] [-- RUN-FLAGS]",
		Short: "Do 'umemstress run' in a guest and bring the evidence out",
		Long: `Boots the kernel in a QEMU guest with a soft-RoCE device, does 'umemstress run'
there with the flags that follow --, and exits with its exit code. The evidence
directory (--output among run's flags) is written on this host as the run goes,
with the guest's console in serial.log.

` + labExitCodes,
		Example: `  umemstress lab run
  umemstress lab run --kernel 6.12 -- --preset quick --output evidence`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 && cmd.ArgsLenAtDash() != 0 {
				return usageErrorf("unexpected argument %q: run's own flags follow --", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			program, evidence, err := labRunProgram(cmd, args)
			if err != nil {
				return err
			}
			config, err := flags.config(cmd.Context())
			if err != nil {
				return err
			}
			if err := os.MkdirAll(evidence, 0o755); err != nil {
				return usageErrorf("--output: %v", err)
			}
			config.Program = program
			config.Shares = append(config.Shares, evidence)
			if config.Serial == "" {
				config.Serial = filepath.Join(evidence, "serial.log")
			}
			return runGuest(cmd, config)
		},
	}
	flags.register(cmd.Flags())
	return cmd
}

// labRunProgram checks run's flags before a guest is booted for them, and
// returns the command line to run in the guest and the evidence directory.
func labRunProgram(cmd *cobra.Command, args []string) (program []string, evidence string, err error) {
	executable, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	run, rest, err := newRootCommand().Find(append([]string{"run"}, args...))
	if err != nil {
		return nil, "", err
	}
	if err := run.ParseFlags(rest); err != nil {
		return nil, "", run.FlagErrorFunc()(run, err)
	}
	if err := run.ValidateArgs(run.Flags().Args()); err != nil {
		return nil, "", err
	}
	evidence = run.Flags().Lookup("output").Value.String()
	if evidence == "" {
		evidence = "umemstress-" + time.Now().Format("20060102-150405")
	}
	if evidence, err = filepath.Abs(evidence); err != nil {
		return nil, "", err
	}
	program = append([]string{executable, "run"}, args...)
	for _, name := range []string{"verbose", "log-format"} {
		if global := cmd.Flags().Lookup(name); global.Changed {
			program = append(program, "--"+name+"="+global.Value.String())
		}
	}
	return append(program, "--output="+evidence), evidence, nil
}

// runGuest runs the guest's program; its exit code becomes this command's.
func runGuest(cmd *cobra.Command, config lab.Config) error {
	config.Stdout = cmd.OutOrStdout()
	config.Stderr = cmd.ErrOrStderr()
	result, err := lab.Run(cmd.Context(), config)
	if err != nil {
		return err
	}
	if result.Oops != nil && result.ExitCode != record.Crashed.ExitCode() {
		return result.Oops // the program did not notice
	}
	if result.ExitCode != 0 {
		return statusError(result.ExitCode)
	}
	return nil
}
