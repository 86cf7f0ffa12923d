package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"umemstress/cmd/umemstress/internal/cireport"
	"umemstress/soft-roce/lab"
	"umemstress/soft-roce/lab/kernels"
	"umemstress/soft-roce/lab/matrix"
	"umemstress/workload/evidence"
	"umemstress/workload/report/ci"
)

func newLabMatrixCommand() *cobra.Command {
	var flags matrixFlags
	cmd := &cobra.Command{
		Use:   "matrix",
		Short: "Run scenarios on kernels and compare with what they are known to do",
		Long: `Boots a guest for each kernel, runs the scenarios in it that the expectations
list, each with a scratch file system of its own, and compares the verdicts with
the expectations. Leaves in the output directory: matrix.json; matrix.html, one
page in which each cell opens what the channels saw; and the evidence of each
run, in KERNEL/SCENARIO, with the consoles of the guests.

The expectations are part of this program (soft-roce/lab/matrix/expected.yaml of its
source); --expected gives others.
--explore runs a scenario that has no expectation and shows what it ends in.

Exit codes: 0 all as expected, 1 there are differences, 2 usage, 3 this host
lacks something, 130 interrupted: what was seen until then is written.`,
		Example: `  umemstress lab matrix
  umemstress lab matrix --kernels 5.10,6.1 --only 'rdma/*' --repeat 20
  umemstress lab matrix --kernels sid --explore rdma/ext4/none/none`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := flags.reports.Open(); err != nil {
				return usageError{err}
			}
			m, err := flags.matrix(cmd.Context())
			if err != nil {
				return err
			}
			if err := os.MkdirAll(m.Dir, 0o755); err != nil {
				return usageErrorf("--output: %v", err)
			}
			progress := newMatrixProgress(cmd.ErrOrStderr(), m)
			m.Progress = progress.tell
			result, runErr := m.Run(cmd.Context())
			progress.close()
			if err := flags.report(cmd, result); err != nil {
				return errors.Join(runErr, err)
			}
			if runErr == nil && result.Differences > 0 {
				return statusError(exitFailed)
			}
			return runErr
		},
	}
	flags.register(cmd.Flags())
	return cmd
}

type matrixFlags struct {
	kernels     []string
	only        []string
	explore     []string
	expected    string
	subset      bool
	jobs        int
	repeat      int
	memory      int // MiB
	cpus        int
	cellTimeout time.Duration
	output      string
	format      string
	given       *pflag.FlagSet
	reports     cireport.Flags
}

func (f *matrixFlags) register(flags *pflag.FlagSet) {
	f.given = flags
	flags.StringSliceVarP(&f.kernels, "kernels", "k", nil, "`NAMES` of kernels, as in 5.10,6.1 (default: all of the expectations)")
	flags.StringArrayVar(&f.only, "only", nil, "run the scenarios that match `GLOB`, in which * matches any text; may be repeated")
	flags.StringArrayVar(&f.explore, "explore", nil, "run `SCENARIO` and compare it with nothing; alone, without those of the expectations; may be repeated")
	flags.StringVar(&f.expected, "expected", "", "`FILE` with the expectations (default: the program's own)")
	flags.BoolVar(&f.subset, "subset", false, "run only the cells marked 'quick: true'")
	flags.IntVarP(&f.jobs, "jobs", "j", 0, "guests at a time (default: one a CPU, as far as there is memory)")
	flags.IntVar(&f.repeat, "repeat", 1, "run each cell `N` times; that they differ is a difference")
	flags.IntVar(&f.memory, "memory", 1024, "a guest's memory in `MIB`")
	flags.IntVar(&f.cpus, "cpus", 0, "a guest's CPUs (default: this host's, divided among the guests)")
	flags.DurationVar(&f.cellTimeout, "cell-timeout", time.Minute, "end a run that takes longer")
	flags.StringVarP(&f.output, "output", "o", "", "`DIR` for the result and the evidence (default: ./matrix-TIME)")
	addFormatFlag(flags, &f.format)
	f.reports.Register(flags)
}

// matrix is what the flags ask for.
func (f *matrixFlags) matrix(ctx context.Context) (matrix.Matrix, error) {
	var m matrix.Matrix
	switch {
	case f.jobs < 0 || f.jobs == 0 && f.given.Changed("jobs"):
		return m, usageErrorf("--jobs %d: choose 1 or more", f.jobs)
	case f.repeat < 1:
		return m, usageErrorf("--repeat %d: choose 1 or more", f.repeat)
	case f.cellTimeout < time.Second:
		return m, usageErrorf("--cell-timeout %s: choose 1s or more", f.cellTimeout)
	case f.memory < 256:
		return m, usageErrorf("--memory %d: a stock kernel needs 256 MiB to boot", f.memory)
	case f.cpus < 0:
		return m, usageErrorf("--cpus %d: choose 1 or more", f.cpus)
	}
	if err := checkFormat(f.format); err != nil {
		return m, err
	}
	most, err := matrix.MaxJobs(int64(f.memory) << 20)
	if err != nil {
		return m, err
	}
	if f.jobs > most {
		return m, usageErrorf("--jobs %d: this host has memory for %d guests of %d MiB at a time; choose fewer, or a smaller --memory", f.jobs, most, f.memory)
	}
	columns, err := f.columns()
	if err != nil {
		return m, err
	}
	if f.output == "" {
		f.output = "matrix-" + time.Now().Format("20060102-150405")
	}
	if f.output, err = freshDir(f.output); err != nil {
		return m, err
	}
	executable, err := os.Executable()
	if err != nil {
		return m, err
	}
	store, err := kernels.DefaultStore()
	if err != nil {
		return m, err
	}
	if columns, err = f.withKernels(columns, func(name string) (kernels.Kernel, error) { return store.Find(ctx, name) }); err != nil {
		return m, err
	}
	return matrix.Matrix{
		Columns:     columns,
		Command:     func(scenario, dir string) []string { return matrixCommand(executable, scenario, dir) },
		Dir:         f.output,
		Jobs:        f.jobs,
		Repeat:      f.repeat,
		CellTimeout: f.cellTimeout,
		Guest:       lab.Config{Memory: int64(f.memory) << 20, CPUs: f.cpus},
	}, nil
}

// matrixCommand runs a scenario in a guest. 4 MiB make 1,024 pages, which is more
// than the rate limit of the kernel's log and little enough for an emulated CPU. The guest may die:
// that is a result.
func matrixCommand(executable, scenario, dir string) []string {
	return []string{
		executable, "run", "--preset", "quick", "--scenario", scenario,
		"--file-size", "4M", "--anon-size", "4M", "--observe", "require", "--allow-crash",
		"--format", "json", "--output", dir,
	}
}

// freshDir returns the absolute path of a directory that is not there, or is
// empty: the evidence of two runs must not be mixed, nor the console of one be lost.
func freshDir(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	switch {
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return "", usageErrorf("--output: %v", err)
	case len(entries) > 0:
		if slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() == evidence.RunFile }) {
			return "", usageErrorf("--output %s: it already holds the evidence of a run; name a new directory", dir)
		}
		return "", usageErrorf("--output %s: it is not empty; name another directory", dir)
	}
	return filepath.Abs(dir)
}

// report writes matrix.json, matrix.html and what CI systems read, and one of table and JSON
// to stdout.
func (f *matrixFlags) report(cmd *cobra.Command, result *matrix.Result) error {
	page := filepath.Join(f.output, "matrix.html")
	// The first that fails tells enough of a full disk.
	if err := writeFile(filepath.Join(f.output, "matrix.json"), func(w *os.File) error { return printJSON(w, result) }); err != nil {
		return err
	}
	if err := writeFile(page, func(w *os.File) error { return result.WriteHTML(w) }); err != nil {
		return err
	}
	if err := f.reports.Save(func(inconclusive ci.Outcome) ci.Report {
		return result.Report(cireport.FromHere(f.output), inconclusive)
	}); err != nil {
		return err
	}
	if f.format == "json" {
		return printJSON(cmd.OutOrStdout(), result)
	}
	if err := result.WriteText(cmd.OutOrStdout()); err != nil {
		return err
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s\n", page)
	return err
}

func writeFile(path string, write func(*os.File) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}
