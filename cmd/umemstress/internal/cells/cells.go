// Package cells is what commands that run cells, scenarios on kernels, have in common: the
// flags for it, and how they tell of it meanwhile.
package cells

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"umemstress/soft-roce/lab"
	"umemstress/soft-roce/lab/matrix"
)

// Flags say how cells are run.
type Flags struct {
	jobs        int
	repeat      int
	memory      int // MiB
	cpus        int
	cellTimeout time.Duration
	given       *pflag.FlagSet
}

// Register adds the flags to a command's. repeated is what --repeat makes of cells that do not
// always end in the same.
func (f *Flags) Register(flags *pflag.FlagSet, repeated string) {
	f.given = flags
	flags.IntVarP(&f.jobs, "jobs", "j", 0, "guests at a time (default: one a CPU, as far as there is memory)")
	flags.IntVar(&f.repeat, "repeat", 1, "run each cell `N` times; "+repeated)
	flags.IntVar(&f.memory, "memory", 1024, "a guest's memory in `MIB`")
	flags.IntVar(&f.cpus, "cpus", 0, "a guest's CPUs (default: this host's, divided among the guests)")
	flags.DurationVar(&f.cellTimeout, "cell-timeout", time.Minute, "end a run that takes longer")
}

// usageError is a wrong value of a flag.
type usageError struct{ error }

func (usageError) Usage() bool { return true }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// Check refuses values that no host can do, and more guests than fit into this one.
func (f *Flags) Check() error {
	switch {
	case f.jobs < 0 || f.jobs == 0 && f.given.Changed("jobs"):
		return usagef("--jobs %d: choose 1 or more", f.jobs)
	case f.repeat < 1:
		return usagef("--repeat %d: choose 1 or more", f.repeat)
	case f.cellTimeout < time.Second:
		return usagef("--cell-timeout %s: choose 1s or more", f.cellTimeout)
	case f.memory < 256:
		return usagef("--memory %d: a stock kernel needs 256 MiB to boot", f.memory)
	case f.cpus < 0:
		return usagef("--cpus %d: choose 1 or more", f.cpus)
	}
	most, err := matrix.MaxJobs(int64(f.memory) << 20)
	if err != nil {
		return err
	}
	if f.jobs > most {
		return usagef("--jobs %d: this host has memory for %d guests of %d MiB at a time; choose fewer, or a smaller --memory", f.jobs, most, f.memory)
	}
	return nil
}

// Matrix is one that runs cells as the flags say, but for which cells, and what runs one.
func (f *Flags) Matrix() matrix.Matrix {
	return matrix.Matrix{
		Jobs:        f.jobs,
		Repeat:      f.repeat,
		CellTimeout: f.cellTimeout,
		Guest:       lab.Config{Memory: int64(f.memory) << 20, CPUs: f.cpus},
	}
}
