package compare

import (
	"cmp"
	"fmt"
	"path/filepath"

	"umemstress/soft-roce/lab/matrix"
	"umemstress/workload/report/ci"
)

// Report is the comparison as CI systems read it: a case a scenario, whose evidence lies below
// dir. One that differs fails. One that proves nothing, since it is inconclusive on one side or
// not equal to itself, comes out as inconclusive says.
func (c *Comparison) Report(dir string, inconclusive ci.Outcome) ci.Report {
	suite := ci.Suite{
		Name:    fmt.Sprintf("%s against %s", c.A.Name, c.B.Name),
		Kernel:  fmt.Sprintf("%s against %s", c.A.Release, c.B.Release),
		Started: c.Started,
	}
	for _, cell := range c.Cells {
		suite.Cases = append(suite.Cases, c.report(cell, dir, inconclusive))
	}
	return ci.Report{Name: "umemstress lab compare", Suites: []ci.Suite{suite}}
}

func (c *Comparison) report(cell Cell, dir string, inconclusive ci.Outcome) ci.Case {
	test := ci.Case{
		Name: cell.Scenario, Seconds: cell.A.Seconds + cell.B.Seconds,
		Why: fmt.Sprintf("%s on %s, %s on %s", cell.A.text(), c.A.Name, cell.B.text(), c.B.Name),
	}
	if evidence := cmp.Or(cell.B.Evidence, cell.A.Evidence); evidence != "" {
		test.Evidence = filepath.Join(dir, evidence)
	}
	for _, side := range []struct {
		Side
		kernel string
	}{{cell.A, c.A.Name}, {cell.B, c.B.Name}} {
		if side.Reason != "" {
			test.Detail = append(test.Detail, fmt.Sprintf("%s: %s: %s", side.kernel, side.Got, side.Reason))
		}
	}
	switch cell.State {
	case Equal:
		test.Why = fmt.Sprintf("%s on both", cell.A.text())
	case Differs:
		test.Outcome = ci.Failed
		for _, d := range cell.Saw {
			test.Detail = append(test.Detail, fmt.Sprintf("%s: %s on %s, %s on %s", d.Field, cmp.Or(d.A, none), c.A.Name, cmp.Or(d.B, none), c.B.Name))
		}
	case Inconclusive:
		test.Outcome = inconclusive
	case Unsteady:
		test.Outcome, test.Why = inconclusive, "not equal to itself between repetitions: "+cell.Why
	case NotCompared:
		test.Outcome, test.Why = ci.Errored, "not compared: "+cell.Why
		if cell.A.Got == matrix.OutcomeNotRun || cell.B.Got == matrix.OutcomeNotRun {
			test.Outcome = ci.Skipped
		}
	}
	return test
}
