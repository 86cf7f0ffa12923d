package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"umemstress/cmd/umemstress/internal/exit"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"umemstress/cmd/umemstress/internal/cells"
	"umemstress/cmd/umemstress/internal/cireport"
	"umemstress/cmd/umemstress/internal/completion"
	"umemstress/soft-roce/lab"
	"umemstress/soft-roce/lab/compare"
	"umemstress/soft-roce/lab/kernels"
	"umemstress/soft-roce/lab/matrix"
	"umemstress/workload"
)

func newLabCompareCommand() *cobra.Command {
	var flags compareFlags
	cmd := &cobra.Command{
		Use:   "compare A B",
		Short: "Run scenarios on two kernels and show only what differs between them",
		Long: `Boots guests with the kernels A and B, runs the same scenarios in both, and shows
those whose verdicts differ, with what the channels saw differently: what does a
patch change? Nothing is expected of either. A and B are names, package files,
archives, or directories in which a kernel was built or installed, as --kernel of
'lab run' takes them.

A scenario that is inconclusive on one kernel, or that --repeat shows to be not
equal to itself on one, is said to be so and is no difference. A field is shown
where the runs on both looked, and no repetition of one kernel saw what one of the
other did.

Leaves in the output directory: compare.json and compare.html, with all scenarios,
and the evidence of each run, in KERNEL/SCENARIO, with the consoles of the guests.

Exit codes: 0 all were compared, whatever differs (with --fail-on-difference 1 if
something does), 1 a scenario did not run to a verdict on both, 2 usage, 3 this
host lacks something, 21 the lab could not run a scenario, 130 interrupted: what
was seen until then is written.`,
		Example: `  umemstress lab compare 5.10 6.12 --subset
  umemstress lab compare 6.12 linux-6.12.90-mine.tar.xz --scenario 'dio/ext4/*' --repeat 3
  umemstress lab compare 6.12 ../linux --scenario rdma/ext4/pageout/none`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return exit.Usagef("compare takes two kernels, A and B, not %s", counted(len(args), "argument"))
			}
			return nil
		},
		ValidArgsFunction: completion.Kernels,
		RunE: func(cmd *cobra.Command, args []string) error {
			m, a, b, err := flags.matrix(cmd.Context(), args)
			if err != nil {
				return err
			}
			result, runErr := runCells(cmd, m)
			if result == nil {
				return runErr
			}
			comparison := compare.New(result, a, b)
			if err := flags.report(cmd, comparison); err != nil {
				return errors.Join(runErr, err)
			}
			if runErr != nil {
				return runErr
			}
			return flags.status(comparison)
		},
	}
	flags.register(cmd.Flags())
	return cmd
}

type compareFlags struct {
	scenarios        []string
	subset           bool
	all              bool
	failOnDifference bool
	cells            cells.Flags
	output           string
	format           string
	reports          cireport.Flags
}

func (f *compareFlags) register(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.scenarios, "scenario", nil, "run `SCENARIO`, or those of the matrix that match a glob, in which * matches any text; may be repeated (default: all of the matrix)")
	flags.BoolVar(&f.subset, "subset", false, "run only the scenarios of the matrix's own subset, and those that --scenario names in full")
	flags.BoolVar(&f.all, "all", false, "show the scenarios, too, that end in the same")
	flags.BoolVar(&f.failOnDifference, "fail-on-difference", false, "exit with 1 if a scenario differs")
	f.cells.Register(flags, "one that is not equal to itself is no difference")
	flags.StringVarP(&f.output, "output", "o", "", "`DIR` for the result and the evidence (default: ./compare-TIME)")
	addFormatFlag(flags, &f.format)
	f.reports.Register(flags)
}

// matrix is what the flags and the kernels' names ask for, and the two kernels.
func (f *compareFlags) matrix(ctx context.Context, given []string) (m matrix.Matrix, a, b compare.Kernel, err error) {
	if err = f.cells.Check(); err != nil {
		return
	}
	if err = checkFormat(f.format); err != nil {
		return
	}
	scenarios, err := f.selected()
	if err != nil {
		return
	}
	if err = checkCompared(given); err != nil {
		return
	}
	if f.output, err = outputDir(f.output, "compare"); err != nil {
		return
	}
	if err = f.reports.Open(); err != nil { // what is wrong is told before a kernel is fetched
		err = exit.UsageError(err)
		return
	}
	var columns []matrix.Column
	for _, name := range given {
		var column matrix.Column
		if column.Kernel, err = findKernel(ctx, strings.Split(name, ","), ""); err != nil {
			return
		}
		column.Name = columnName(name, column.Kernel)
		columns = append(columns, column)
	}
	first, second := &columns[0], &columns[1]
	if first.Kernel.Image == second.Kernel.Image {
		logrus.Warnf("%s and %s are the same kernel here, %s", given[0], given[1], first.Kernel.Release)
	}
	if first.Name == second.Name { // builds of one release
		first.Name, second.Name = first.Name+"-a", second.Name+"-b"
	}
	for i := range columns {
		for _, scenario := range scenarios {
			columns[i].Cells = append(columns[i].Cells, matrix.Expectation{Kernel: columns[i].Name, Scenario: scenario})
		}
	}
	a = compare.Kernel{Name: first.Name, Given: given[0], Release: first.Kernel.Release}
	b = compare.Kernel{Name: second.Name, Given: given[1], Release: second.Kernel.Release}
	m, err = cellsMatrix(&f.cells, columns, f.output)
	return
}

// columnName is how a kernel is called that was given by name, and what its evidence lies below. A
// path would lead elsewhere.
func columnName(given string, k kernels.Kernel) string {
	if kernels.IsFile(given) || kernels.IsDirectory(given) {
		return k.Release
	}
	return given
}

// checkCompared refuses names that can be no kernels' before one is fetched.
func checkCompared(given []string) error {
	if given[0] == given[1] {
		return exit.Usagef("compare takes two kernels, and %q is named twice", given[0])
	}
	store, err := kernels.DefaultStore()
	if err != nil {
		return err
	}
	for _, names := range given {
		for _, name := range strings.Split(names, ",") {
			if kernels.IsDirectory(name) {
				continue
			}
			if kernels.IsFile(name) {
				if _, err := os.Stat(name); err != nil {
					return exit.Usagef("compare: %v", err)
				}
				continue
			}
			if strings.Contains(name, "/") {
				return exit.Usagef("compare: %q: give a name, a directory, package files (.deb) or an archive of 'make tarxz-pkg'", name)
			}
			if err := store.Check(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// selected are the scenarios to run, in the matrix's order, and then others that were named. Those over soft-iWARP, which
// few kernels have, are the matrix's alone.
func (f *compareFlags) selected() ([]string, error) {
	expectations, err := matrix.Expected()
	if err != nil {
		return nil, err
	}
	var known, scenarios []string
	for _, e := range expectations {
		_, overSiw := matrix.OverSiw(e.Scenario)
		if !overSiw && !slices.Contains(known, e.Scenario) && (e.Quick || !f.subset) {
			known = append(known, e.Scenario)
		}
	}
	chosen := make([]bool, len(known))
	var named []string
	globs := 0
	for _, wanted := range f.scenarios {
		if !strings.ContainsAny(wanted, `*?[\`) {
			s, err := workload.Scenarios().Parse(wanted)
			if err != nil {
				return nil, exit.Usagef("--scenario: %v", err)
			}
			named = append(named, s.String())
			continue
		}
		globs++
		matched := false
		for i, scenario := range known {
			ok, err := matches(wanted, scenario)
			if err != nil {
				return nil, exit.Usagef("--scenario %q: %v", wanted, err)
			}
			matched, chosen[i] = matched || ok, chosen[i] || ok
		}
		if !matched {
			return nil, exit.Usagef("--scenario %q matches no scenario of the matrix", wanted)
		}
	}
	everything := globs == 0 && (f.subset || len(named) == 0)
	for i, scenario := range known {
		if chosen[i] || everything || slices.Contains(named, scenario) {
			scenarios = append(scenarios, scenario)
		}
	}
	for _, scenario := range named {
		if !slices.Contains(scenarios, scenario) {
			scenarios = append(scenarios, scenario)
		}
	}
	return scenarios, nil
}

// report leaves the documents, and writes one of table and JSON to stdout.
func (f *compareFlags) report(cmd *cobra.Command, c *compare.Comparison) error {
	page, err := saveDocuments(f.output, "compare", c, &f.reports)
	if err != nil {
		return err
	}
	if f.format == "json" {
		if !f.all {
			c = c.Only()
		}
		return printJSON(cmd.OutOrStdout(), c)
	}
	if err := c.WriteText(cmd.OutOrStdout(), f.all); err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", page)
	return err
}

// status is the exit code of what was compared.
func (f *compareFlags) status(c *compare.Comparison) error {
	why, labs := c.Missing()
	switch {
	case labs:
		return &lab.LabError{Op: "compare", Err: errors.New(why)}
	case why != "":
		return errors.New(why)
	case f.failOnDifference && c.Counts[compare.Differs] > 0:
		return exit.Status(exit.Failed)
	}
	return nil
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
