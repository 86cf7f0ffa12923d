package main

import (
	"context"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"umemstress/soft-roce/lab"
	"umemstress/soft-roce/lab/kernels"
)

// guestFlags are the flags of every command that boots a guest.
type guestFlags struct {
	kernel   string
	modules  string
	memory   int // MiB
	cpus     int
	disk     int // MiB
	append   string
	timeout  time.Duration
	noDevice bool
	serial   string
	shares   []string
	env      []string
}

func (f *guestFlags) register(flags *pflag.FlagSet) {
	flags.StringVarP(&f.kernel, "kernel", "k", "5.10", "5.10, 6.1, 6.12, trixie, sid, a `VERSION` such as 5.10.0-30-amd64, a FILE.deb, or an image with --modules")
	flags.StringVar(&f.modules, "modules", "", "`DIR` lib/modules/RELEASE of the image given with --kernel")
	flags.IntVar(&f.memory, "memory", 0, "the guest's memory in `MIB` (default 2048)")
	flags.IntVar(&f.cpus, "cpus", 0, "the guest's CPUs (default: those of the host, at most 4)")
	flags.IntVar(&f.disk, "disk", 0, "size of the guest's scratch disk in `MIB`, sparse (default 8192)")
	flags.StringVar(&f.append, "append", "", "`ARGS` added to the kernel's command line")
	flags.DurationVar(&f.timeout, "timeout", 10*time.Minute, "kill the guest after this time; 0: never")
	flags.StringVar(&f.serial, "serial", "", "`FILE` for what the guest's kernel writes to its console")
	flags.StringArrayVar(&f.shares, "share", nil, "`DIR` of the host that the guest may write to; may be repeated")
	flags.StringArrayVar(&f.env, "env", nil, "`NAME=VALUE` for the environment of the program; may be repeated")
}

func (f *guestFlags) config(ctx context.Context) (lab.Config, error) {
	c := lab.Config{
		Memory:   int64(f.memory) << 20,
		CPUs:     f.cpus,
		Disk:     int64(f.disk) << 20,
		Append:   f.append,
		Timeout:  f.timeout,
		NoDevice: f.noDevice,
		Serial:   f.serial,
		Shares:   f.shares,
		Env:      f.env,
	}
	var err error
	c.Kernel, err = f.findKernel(ctx)
	return c, err
}

func (f *guestFlags) findKernel(ctx context.Context) (kernels.Kernel, error) {
	if f.modules != "" {
		return kernels.Custom(f.kernel, f.modules)
	}
	store, err := kernels.DefaultStore()
	if err != nil {
		return kernels.Kernel{}, err
	}
	name := f.kernel
	if strings.HasSuffix(name, ".deb") {
		name, err = filepath.Abs(name)
		if err != nil {
			return kernels.Kernel{}, err
		}
	}
	return store.Find(ctx, name)
}
