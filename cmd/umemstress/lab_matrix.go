package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"umemstress/cmd/umemstress/internal/exit"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"umemstress/cmd/umemstress/internal/cells"
	"umemstress/cmd/umemstress/internal/cireport"
	"umemstress/soft-roce/lab"
	"umemstress/soft-roce/lab/build"
	"umemstress/soft-roce/lab/kernels"
	"umemstress/soft-roce/lab/matrix"
	"umemstress/workload"
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

A kernel that is on no mirror and not here is left out with a word, or built with
--build.

Cells that others tell of are left out, unless --all asks for them or --kernels or --only
chooses: all but one of those that are refused, crash, or find no large folios, on one file
system of a kernel; of strips but pageout, and mutations but reflink, all but the first holder
with which they end in the same; what trixie's kernel does as 6.12, and the unfixed 5.10 as
5.10; and what 6.1 or 6.12 does as the kernel before it and the one after it.

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
				return exit.UsageError(err)
			}
			m, err := flags.matrix(cmd.Context())
			if err != nil {
				return err
			}
			result, runErr := runCells(cmd, m)
			if result == nil {
				return runErr
			}
			if err := flags.report(cmd, result); err != nil {
				return errors.Join(runErr, err)
			}
			if runErr == nil && result.Differences > 0 {
				return exit.Status(exit.Failed)
			}
			return runErr
		},
	}
	flags.register(cmd.Flags())
	return cmd
}

type matrixFlags struct {
	kernels  []string
	only     []string
	explore  []string
	expected string
	subset   bool
	all      bool
	build    bool
	cells    cells.Flags
	output   string
	format   string
	reports  cireport.Flags
}

func (f *matrixFlags) register(flags *pflag.FlagSet) {
	flags.StringSliceVarP(&f.kernels, "kernels", "k", nil, "`NAMES` of kernels, as in 5.10,6.1 (default: all of the expectations)")
	flags.StringArrayVar(&f.only, "only", nil, "run the scenarios that match `GLOB`, in which * matches any text; may be repeated")
	flags.StringArrayVar(&f.explore, "explore", nil, "run `SCENARIO` and compare it with nothing; alone, without those of the expectations; may be repeated")
	flags.StringVar(&f.expected, "expected", "", "`FILE` with the expectations (default: the program's own)")
	flags.BoolVar(&f.all, "all", false, "run those cells, too, that end as others tell (default: without them, unless --kernels or --only chooses)")
	flags.BoolVar(&f.subset, "subset", false, "run only the cells marked 'quick: true'")
	flags.BoolVar(&f.build, "build", false, "build a kernel that is on no mirror and not here (5.10-unfixed), as lab build does")
	f.cells.Register(flags, "that they differ is a difference")
	flags.StringVarP(&f.output, "output", "o", "", "`DIR` for the result and the evidence (default: ./matrix-TIME)")
	addFormatFlag(flags, &f.format)
	f.reports.Register(flags)
}

// matrix is what the flags ask for.
func (f *matrixFlags) matrix(ctx context.Context) (matrix.Matrix, error) {
	var m matrix.Matrix
	if err := f.cells.Check(); err != nil {
		return m, err
	}
	if err := checkFormat(f.format); err != nil {
		return m, err
	}
	columns, err := f.columns()
	if err != nil {
		return m, err
	}
	if f.output, err = outputDir(f.output, "matrix"); err != nil {
		return m, err
	}
	store, err := kernels.DefaultStore()
	if err != nil {
		return m, err
	}
	if columns, err = f.withKernels(columns, storeOrSource{ctx, store}); err != nil {
		return m, err
	}
	return cellsMatrix(&f.cells, columns, f.output)
}

// storeOrSource has kernels as the store finds them, or builds them.
type storeOrSource struct {
	ctx   context.Context
	store *kernels.Store
}

func (s storeOrSource) find(name string) (kernels.Kernel, error) { return s.store.Find(s.ctx, name) }

func (s storeOrSource) build(recipe kernels.Recipe) (kernels.Kernel, error) {
	built, err := build.Build(s.ctx, s.store, build.Options{Source: recipe.Source, Without: recipe.Without})
	return built.Kernel, err
}

// outputDir is the directory that was named, or one after the command and the time, which is
// yet to be made.
func outputDir(named, command string) (string, error) {
	if named == "" {
		named = command + "-" + time.Now().Format("20060102-150405")
	}
	return freshDir(named)
}

// cellsMatrix runs the columns with this program, into the directory.
func cellsMatrix(flags *cells.Flags, columns []matrix.Column, dir string) (matrix.Matrix, error) {
	m := flags.Matrix()
	executable, err := os.Executable()
	m.Columns, m.Dir = columns, dir
	m.Command = func(scenario, dir string) []string { return matrixCommand(executable, scenario, dir) }
	return m, err
}

// runCells runs the matrix and tells of it on stderr. The result is there with an error, too.
func runCells(cmd *cobra.Command, m matrix.Matrix) (*matrix.Result, error) {
	if err := os.MkdirAll(m.Dir, 0o755); err != nil {
		return nil, exit.Usagef("--output: %v", err)
	}
	progress := cells.NewProgress(cmd.ErrOrStderr(), m)
	defer progress.Close()
	m.Progress, m.Guest.Log = progress.Tell, progress.Log()
	return m.Run(cmd.Context())
}

// matrixCommand runs a scenario in a guest. 4 MiB make 1,024 pages, which is more
// than the rate limit of the kernel's log and little enough for an emulated CPU. The guest may die:
// that is a result.
func matrixCommand(executable, scenario, dir string) []string {
	scenario, overSiw := matrix.OverSiw(scenario)
	command := []string{
		executable, "run", "--preset", "quick", "--scenario", scenario,
		"--file-size", "4M", "--anon-size", "4M", "--observe", "require", "--allow-crash",
		"--format", "json", "--output", dir,
	}
	if s, err := workload.Scenarios().Parse(scenario); err == nil && workload.NeedsPmem(s) {
		command = append(command, "--pmem-dev", lab.PmemDevice)
	}
	if overSiw {
		command = append(command, "--ib-dev", matrix.SiwDevice, "--rdma-cm")
		command = append([]string{"sh", "-ec", matrix.WithSiw, "sh"}, command...)
	}
	return command
}

// freshDir returns the absolute path of a directory that is not there, or is
// empty: the evidence of two runs must not be mixed, nor the console of one be lost.
func freshDir(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	switch {
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return "", exit.Usagef("--output: %v", err)
	case len(entries) > 0:
		if slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() == evidence.RunFile }) {
			return "", exit.Usagef("--output %s: it already holds the evidence of a run; name a new directory", dir)
		}
		return "", exit.Usagef("--output %s: it is not empty; name another directory", dir)
	}
	return filepath.Abs(dir)
}

// report leaves the documents, and writes one of table and JSON to stdout.
func (f *matrixFlags) report(cmd *cobra.Command, result *matrix.Result) error {
	page, err := saveDocuments(f.output, "matrix", result, &f.reports)
	if err != nil {
		return err
	}
	if f.format == "json" {
		return printJSON(cmd.OutOrStdout(), result)
	}
	if err := result.WriteText(cmd.OutOrStdout()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", page)
	return err
}

// cellsResult is what became of many cells.
type cellsResult interface {
	WriteHTML(io.Writer) error
	Report(dir string, inconclusive ci.Outcome) ci.Report
}

// saveDocuments writes NAME.json and NAME.html, whose path it returns, and what CI systems read.
func saveDocuments(dir, name string, result cellsResult, reports *cireport.Flags) (page string, err error) {
	page = filepath.Join(dir, name+".html")
	// The first that fails tells enough of a full disk.
	if err := writeFile(filepath.Join(dir, name+".json"), func(w *os.File) error { return printJSON(w, result) }); err != nil {
		return "", err
	}
	if err := writeFile(page, func(w *os.File) error { return result.WriteHTML(w) }); err != nil {
		return "", err
	}
	return page, reports.Save(func(inconclusive ci.Outcome) ci.Report {
		return result.Report(cireport.FromHere(dir), inconclusive)
	})
}

func writeFile(path string, write func(*os.File) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}
