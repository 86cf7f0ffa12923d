package main

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"umemstress/cmd/umemstress/internal/exit"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"umemstress/soft-roce/lab"
	"umemstress/soft-roce/lab/kernels"
	"umemstress/workload/record"
)

// guestFlags are the flags of every command that boots a guest.
type guestFlags struct {
	kernel   []string
	modules  string
	memory   int // MiB
	cpus     int
	disk     int // MiB
	pmem     int // MiB
	append   string
	timeout  time.Duration
	noDevice bool
	slack    time.Duration
	serial   string
	shares   []string
	env      []string
	given    *pflag.FlagSet
	peer     []string // the program of a second guest; nil: there is one guest
	console  string   // of that: where what its kernel writes to its console goes; empty: nowhere that stays
}

func (f *guestFlags) register(flags *pflag.FlagSet) {
	flags.StringSliceVarP(&f.kernel, "kernel", "k", []string{"5.10"}, "5.10, 6.1, 6.12, trixie, sid, a `VERSION` such as 5.10.0-30-amd64 or 6.1.0-56-rt-amd64, "+
		"a FILE.deb, several if the kernel is split into them, an archive of 'make tarxz-pkg', the DIR in which a kernel was built or installed, or an image with --modules")
	flags.StringVar(&f.modules, "modules", "", "`DIR` lib/modules/RELEASE of the image given with --kernel")
	f.registerMachine(flags)
}

// registerMachine adds the flags of a guest whose kernel is not named.
func (f *guestFlags) registerMachine(flags *pflag.FlagSet) {
	f.given = flags
	flags.IntVar(&f.memory, "memory", 0, "the guest's memory in `MIB` (default 2048)")
	flags.IntVar(&f.cpus, "cpus", 0, "the guest's CPUs (default: those of the host, at most 4)")
	flags.IntVar(&f.disk, "disk", 0, "size of the guest's scratch disk in `MIB`, sparse (default 8192)")
	flags.IntVar(&f.pmem, "pmem", 0, "`MIB` of persistent memory, "+lab.PmemDevice+", beside the guest's memory (default: none)")
	flags.StringVar(&f.append, "append", "", "`ARGS` added to the kernel's command line")
	flags.DurationVar(&f.timeout, "timeout", 10*time.Minute, "kill the guest after this time; 0: never")
	flags.DurationVar(&f.slack, "timer-slack", 0, "how late the guest's kernel may wake the program from a sleep, as in 50us (default: "+
		"the kernel's 50us, and "+lab.EmulatedTimerSlack.String()+" under software emulation, to which each timer is dear)")
	flags.StringVar(&f.serial, "serial", "", "`FILE` for what the guest's kernel writes to its console")
	flags.StringArrayVar(&f.shares, "share", nil, "`DIR` of the host that the guest may write to; may be repeated. Where this is root, setuid bits, owners and devices stay the guest's")
	flags.StringArrayVar(&f.env, "env", nil, "`NAME=VALUE` for the environment of the program; may be repeated")
}

// config is the guest but for its kernel and its program.
func (f *guestFlags) config() (lab.Config, error) {
	return lab.Config{
		Memory:   int64(f.memory) << 20,
		CPUs:     f.cpus,
		Disk:     int64(f.disk) << 20,
		Pmem:     int64(f.pmem) << 20,
		Append:   f.append,
		Timeout:  f.timeout,
		NoDevice: f.noDevice,

		TimerSlack: f.slack,

		Serial: f.serial,
		Shares: f.shares,
		Env:    f.env,
	}, f.check()
}

// runGuest boots the kernel for the program of the guest, whose exit code becomes this
// command's. What else is wrong is told before a kernel is fetched.
func (f *guestFlags) runGuest(cmd *cobra.Command, config lab.Config) error {
	if err := config.Check(); err != nil {
		return err
	}
	var err error
	if config.Kernel, err = f.findKernel(cmd.Context()); err != nil {
		return err
	}
	config.Stdout = cmd.OutOrStdout()
	config.Stderr = cmd.ErrOrStderr()
	result, err := f.boot(cmd.Context(), config)
	if err != nil {
		return err
	}
	if result.Oops != nil && result.ExitCode != record.Crashed.ExitCode() {
		return result.Oops // the program did not notice
	}
	if result.ExitCode != 0 {
		return exit.Status(result.ExitCode)
	}
	return nil
}

// boot boots the guest, or both.
func (f *guestFlags) boot(ctx context.Context, config lab.Config) (lab.Result, error) {
	if f.peer == nil {
		return lab.Run(ctx, config)
	}
	second := config
	second.Program, second.Shares, second.Serial = f.peer, nil, f.console
	return lab.RunPair(ctx, config, second)
}

// maxMiB is more than any machine has, and can be counted in bytes.
const maxMiB = 1 << 40

// check refuses values that would be taken for others, or for none.
func (f *guestFlags) check() error {
	for _, variable := range f.env {
		if name, _, ok := strings.Cut(variable, "="); !ok || name == "" {
			return exit.Usagef("--env %q: write NAME=VALUE", variable)
		}
	}
	if f.timeout < 0 {
		return exit.Usagef("--timeout %s: give a time such as 90s or 10m, or 0 for none", f.timeout)
	}
	if f.given.Changed("timer-slack") && f.slack <= 0 {
		return exit.Usagef("--timer-slack %s: give a time such as 50us, or leave it out", f.slack)
	}
	for name, value := range map[string]int{"memory": f.memory, "disk": f.disk, "pmem": f.pmem, "cpus": f.cpus} {
		if f.given.Changed(name) && (value < 1 || value > maxMiB) {
			return exit.Usagef("--%s %d: give a positive number, or leave it out", name, value)
		}
	}
	return nil
}

func (f *guestFlags) findKernel(ctx context.Context) (kernels.Kernel, error) {
	return findKernel(ctx, f.kernel, f.modules)
}

// findKernel is the kernel of a name, of package files, of an archive, or of an image with its
// modules.
func findKernel(ctx context.Context, names []string, modules string) (kernels.Kernel, error) {
	var files []string
	for _, name := range names {
		if kernels.IsFile(name) {
			file, err := filepath.Abs(name)
			if err != nil {
				return kernels.Kernel{}, err
			}
			files = append(files, file)
		}
	}
	directory := slices.IndexFunc(names, kernels.IsDirectory)
	switch {
	case modules != "" && directory >= 0:
		return kernels.Kernel{}, exit.Usagef("--kernel %s: with --modules it is the file of one image; a directory has its modules", names[directory])
	case modules != "" && (len(names) > 1 || len(files) > 0):
		return kernels.Kernel{}, exit.Usagef("--kernel %s: with --modules it is the file of one image; a package has its modules", strings.Join(names, ","))
	case modules != "":
		return kernels.Custom(ctx, names[0], modules, nil)
	case len(names) > 1 && len(files) < len(names):
		return kernels.Kernel{}, exit.Usagef("--kernel %s: a guest has one kernel; only the package files (.deb) of one can be several", strings.Join(names, ","))
	}
	store, err := kernels.DefaultStore()
	if err != nil {
		return kernels.Kernel{}, err
	}
	switch {
	case len(files) > 0:
		return store.FromPackages(ctx, files)
	case directory >= 0:
		return store.FromDirectory(ctx, names[directory])
	}
	return store.Find(ctx, names[0])
}
