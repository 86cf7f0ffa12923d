package main

import (
	"errors"
	"path"
	"slices"
	"strings"

	"umemstress/cmd/umemstress/internal/exit"

	"github.com/sirupsen/logrus"

	"umemstress/soft-roce/lab/kernels"
	"umemstress/soft-roce/lab/matrix"
	"umemstress/workload"
)

// columns selects the cells to run, kernel by kernel.
func (f *matrixFlags) columns() ([]matrix.Column, error) {
	if f.all && f.subset {
		return nil, exit.Usagef("--all and --subset exclude each other")
	}
	for i, scenario := range f.explore {
		if _, err := workload.Scenarios().Parse(scenario); err != nil {
			return nil, exit.Usagef("--explore: %v", err)
		}
		if slices.Contains(f.explore[:i], scenario) {
			return nil, exit.Usagef("--explore: %s is named twice; --repeat runs it more than once", scenario)
		}
	}
	// What is explored needs no expectations, if it is said where.
	exploreOnly := len(f.explore) > 0 && len(f.only) == 0 && !f.subset
	var expectations []matrix.Expectation
	var file string
	if !exploreOnly || len(f.kernels) == 0 {
		var err error
		if expectations, file, err = f.expectations(); err != nil {
			return nil, err
		}
	}
	known := kernelsOf(expectations)
	names := f.kernels
	if len(names) == 0 {
		names = known
	}
	cells, err := f.selected(expectations, file)
	if err != nil {
		return nil, err
	}
	if f.telling() {
		all := len(cells)
		if cells = matrix.Telling(cells); len(cells) < all && !exploreOnly {
			logrus.Infof("%d of %d cells; the others end as these tell, and --all runs them, too", len(cells), all)
		}
	}
	if exploreOnly {
		cells = nil
	}
	var columns []matrix.Column
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			return nil, exit.Usagef("--kernels: %s is named twice", name)
		}
		if strings.Contains(name, "/") {
			return nil, exit.Usagef("--kernels: %q is a path; the matrix takes names, see 'umemstress lab kernels'", name)
		}
		if len(f.explore) == 0 && !slices.Contains(known, name) {
			return nil, exit.Usagef("--kernels: %s has no expectations for %q; it has them for %s", file, name, strings.Join(known, ", "))
		}
		column := matrix.Column{Name: name}
		for _, cell := range cells {
			if cell.Kernel == name && !slices.Contains(f.explore, cell.Scenario) {
				column.Cells = append(column.Cells, cell)
			}
		}
		for _, scenario := range f.explore {
			column.Cells = append(column.Cells, matrix.Expectation{Kernel: name, Scenario: scenario})
		}
		if len(column.Cells) > 0 {
			columns = append(columns, column)
		}
	}
	if len(columns) == 0 {
		return nil, exit.Usagef("no cell of %s is selected", file)
	}
	return columns, nil
}

// kernelSource finds kernels by their names, and builds those that no mirror has.
type kernelSource interface {
	find(name string) (kernels.Kernel, error)
	build(recipe kernels.Recipe) (kernels.Kernel, error)
}

// withKernels finds the kernels of the columns. One that is on no mirror and not here is built
// with --build, and else left out where nobody asked for it.
func (f *matrixFlags) withKernels(columns []matrix.Column, from kernelSource) (found []matrix.Column, err error) {
	for _, column := range columns {
		column.Kernel, err = from.find(column.Name)
		var missing *kernels.NoArchiveError
		if errors.As(err, &missing) {
			switch {
			case f.build:
				column.Kernel, err = from.build(missing.Recipe)
			case len(f.kernels) == 0 && len(columns) > 1:
				logrus.Warnf("left out: %v", err)
				continue
			}
		}
		if err != nil {
			return nil, err
		}
		for _, other := range found {
			if other.Kernel.Release == column.Kernel.Release {
				logrus.Warnf("%s and %s are the same kernel here, %s", other.Name, column.Name, other.Kernel.Release)
			}
		}
		if column, err = withoutSiw(column); err != nil {
			return nil, err
		}
		found = append(found, column)
	}
	return found, nil
}

// withoutSiw leaves out the cells over soft-iWARP where the kernel was built without that.
func withoutSiw(column matrix.Column) (matrix.Column, error) {
	over := func(e matrix.Expectation) bool { _, is := matrix.OverSiw(e.Scenario); return is }
	if !slices.ContainsFunc(column.Cells, over) {
		return column, nil
	}
	err := column.Kernel.CheckSiw()
	var lacks interface{ HostLacks() bool }
	if errors.As(err, &lacks) && lacks.HostLacks() {
		logrus.Warnf("left out: the cells over soft-iWARP: %v", err)
		column.Cells = slices.DeleteFunc(slices.Clone(column.Cells), over)
		err = nil
	}
	return column, err
}

// telling says whether cells are left out that others tell of: where neither all of them nor
// some were asked for.
func (f *matrixFlags) telling() bool {
	return !f.all && !f.subset && len(f.kernels) == 0 && len(f.only) == 0
}

// selected are the expectations that --only and --subset leave.
func (f *matrixFlags) selected(expectations []matrix.Expectation, file string) ([]matrix.Expectation, error) {
	matched := make([]bool, len(f.only))
	var cells []matrix.Expectation
	for _, e := range expectations {
		keep := len(f.only) == 0
		for i, glob := range f.only {
			ok, err := matches(glob, e.Scenario)
			if err != nil {
				return nil, exit.Usagef("--only %q: %v", glob, err)
			}
			matched[i] = matched[i] || ok
			keep = keep || ok
		}
		if keep && (e.Quick || !f.subset) {
			cells = append(cells, e)
		}
	}
	if i := slices.Index(matched, false); i >= 0 {
		return nil, exit.Usagef("--only %q matches no scenario of %s", f.only[i], file)
	}
	return cells, nil
}

// matches is path.Match with a * that matches slashes, too: rdma/* is every
// scenario of that holder.
func matches(glob, scenario string) (bool, error) {
	flat := strings.NewReplacer("/", ":")
	return path.Match(flat.Replace(glob), flat.Replace(scenario))
}

func kernelsOf(expectations []matrix.Expectation) []string {
	var names []string
	for _, e := range expectations {
		if !slices.Contains(names, e.Kernel) {
			names = append(names, e.Kernel)
		}
	}
	return names
}

// expectations are those of --expected, or the program's own, and where they stand.
func (f *matrixFlags) expectations() (_ []matrix.Expectation, file string, err error) {
	if f.expected == "" {
		expectations, err := matrix.Expected()
		return expectations, "this program", err
	}
	expectations, err := matrix.ReadExpectations(f.expected)
	return expectations, f.expected, err
}
