package main

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"time"

	"umemstress/cmd/umemstress/internal/exit"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"umemstress/soft-roce/lab"
	"umemstress/workload"
	"umemstress/workload/evidence"
)

func newLabRunCommand() *cobra.Command {
	var flags guestFlags
	var hosts int
	cmd := &cobra.Command{
		Use:   "run [flags] [-- RUN-FLAGS]",
		Short: "Do 'umemstress run' in a guest and bring the evidence out",
		Long: `Boots the kernel in a QEMU guest with a soft-RoCE device, does 'umemstress run'
there with the flags that follow --, and exits with its exit code. The evidence
directory (--output among run's flags) is written on this host as the run goes,
with the guest's console in serial.log; it has to be new or empty. Run's flags are
checked before a guest is booted.

` + labExitCodes,
		Example: `  umemstress lab run
  umemstress lab run --kernel 6.12 -- --preset quick --output evidence
  umemstress lab run --hosts 2 -- --preset quick --qp 4`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 && cmd.ArgsLenAtDash() != 0 {
				return exit.Usagef("unexpected argument %q: run's own flags follow --", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if hosts != 1 && hosts != 2 {
				return exit.Usagef("--hosts %d: give 1, or 2 for a run with a peer", hosts)
			}
			run, err := newLabRun(cmd, args, hosts)
			if err != nil {
				return err
			}
			defer os.Remove(run.dir) // a run that never began leaves it empty
			if hosts == 2 {
				if err := run.withPeer(&flags); err != nil {
					return err
				}
			}
			config, err := run.guest(&flags)
			if err != nil {
				return err
			}
			return run.in(cmd, &flags, config)
		},
	}
	flags.register(cmd.Flags())
	cmd.Flags().IntVar(&hosts, "hosts", 1, "2: a second guest with the same kernel, on one network, is the run's --peer")
	return cmd
}

// newLabRun checks run's flags before a guest is booted for them, and makes of them the
// command line to run in the guest.
func newLabRun(cmd *cobra.Command, args []string, hosts int) (*labRun, error) {
	executable, err := os.Executable()
	if err != nil {
		return nil, err
	}
	l := &labRun{flags: &runFlags{}}
	program := append([]string{executable, "run"}, args...)
	run, options, err := parseRun(args, l.flags)
	if err != nil {
		return nil, err
	}
	l.options = options
	if l.takesPmem(cmd, run) {
		l.options.PmemDevice = lab.PmemDevice
		program = append(program, "--pmem-dev="+lab.PmemDevice)
	}
	if l.flags.preset != workload.Everything {
		valid := l.options
		if hosts == 2 && valid.Scenario.Holder == "rdma" { // what else there is has none, as withPeer says
			valid.Peer = cmp.Or(valid.Peer, lab.PeerCommand)
		}
		if err := valid.Validate(); err != nil {
			return nil, err
		}
	}
	if err := l.flags.reports.Open(); err != nil {
		return nil, exit.UsageError(err)
	}
	if l.dir = l.options.Output; l.dir == "" {
		if l.dir, err = evidence.Reserve(time.Now()); err != nil {
			return nil, err
		}
	}
	if l.dir, err = freshDir(l.dir); err != nil {
		return nil, err
	}
	for _, name := range globalFlags() {
		if global := cmd.Flags().Lookup(name); global.Changed {
			program = append(program, "--"+name+"="+global.Value.String())
		}
	}
	l.program = append(program, "--output="+l.dir)
	l.options.Output = l.dir
	return l, nil
}

// takesPmem says whether the run is to be told of the guest's persistent memory, which is nobody's but its own.
func (l *labRun) takesPmem(cmd, run *cobra.Command) bool {
	return cmd.Flags().Changed("pmem") && !run.Flags().Changed("pmem-dev") && !run.Flags().Changed("file") &&
		(l.flags.preset == workload.Everything || workload.NeedsPmem(l.options.Scenario))
}

// parseRun checks run's flags where they follow the -- of another command.
func parseRun(args []string, flags *runFlags) (run *cobra.Command, o workload.Options, err error) {
	run, rest, err := newRootCommand().Find(append([]string{"run"}, args...))
	if err != nil {
		return nil, o, err
	}
	if err := run.ParseFlags(rest); err != nil {
		return nil, o, run.FlagErrorFunc()(run, err)
	}
	if err := errors.Join(refuseEmpty(run), run.ValidateArgs(run.Flags().Args())); err != nil {
		return nil, o, err
	}
	o, err = labRunOptions(flags, run.Flags())
	return run, o, err
}

// withPeer has the bytes come from a second guest.
func (l *labRun) withPeer(flags *guestFlags) error {
	if l.options.Peer != "" {
		return exit.Usagef("--hosts 2 is a peer of its own; leave run's --peer out")
	}
	if l.flags.preset == workload.Everything || l.options.Scenario.Holder != "rdma" {
		return exit.Usagef("--hosts 2: only the holder rdma has another host; give run's flags one scenario of it")
	}
	if l.options.Victim == workload.VictimBoth {
		return exit.Usagef("--hosts 2: one line joins the guests, and --victim both takes two; give local or remote")
	}
	flags.peer = []string{l.program[0], "peer"}
	if l.options.Manager {
		flags.peer = append(flags.peer, "--rdma-cm")
	}
	l.program = append(l.program, "--peer="+lab.PeerCommand)
	return nil
}

// guest is the one for the run, whose directory of evidence is made.
func (l *labRun) guest(flags *guestFlags) (lab.Config, error) {
	config, err := flags.config()
	if err != nil {
		return config, err
	}
	if err := os.MkdirAll(l.dir, 0o755); err != nil {
		return config, exit.Usagef("--output: %v", err)
	}
	config.Program = l.program
	config.Shares = append(config.Shares, l.dir)
	console := filepath.Join(l.dir, evidence.ConsoleFile)
	if l.options.Victim == workload.VictimRemote { // whose kernel may die of it
		flags.console, console = console, filepath.Join(l.dir, lab.FirstHost+"-"+evidence.ConsoleFile)
	}
	config.Serial = cmp.Or(config.Serial, console)
	return config, nil
}

// labRunOptions are what run would make of its flags.
func labRunOptions(flags *runFlags, given *pflag.FlagSet) (workload.Options, error) {
	again := pflag.NewFlagSet("run", pflag.ContinueOnError)
	flags.register(again)
	var err error
	given.Visit(func(flag *pflag.Flag) {
		switch to := again.Lookup(flag.Name); {
		case to == nil || err != nil:
		case flag.Value.Type() == "stringArray": // its text is no value
			err = to.Value.(pflag.SliceValue).Replace(flag.Value.(pflag.SliceValue).GetSlice())
			to.Changed = true
		default:
			err = again.Set(flag.Name, flag.Value.String())
		}
	})
	if err != nil {
		return workload.Options{}, err
	}
	return flags.options()
}
