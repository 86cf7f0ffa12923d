package matrix

import (
	"fmt"
	"path/filepath"

	"umemstress/workload/record"
	"umemstress/workload/report/ci"
)

// Report is the result as CI systems read it: a suite a kernel, a case a cell, whose
// evidence lies below dir. A cell that is as expected passes, whatever that is, but for
// inconclusive, which proves nothing: inconclusive says what becomes of it.
func (result *Result) Report(dir string, inconclusive ci.Outcome) ci.Report {
	report := ci.Report{Name: "umemstress lab matrix"}
	table := result.Table()
	for i, kernel := range table.Kernels {
		suite := ci.Suite{Name: kernel, Kernel: table.Releases[i], Started: result.Started}
		for _, row := range table.Rows {
			if cell := row.Cells[i]; cell != nil {
				suite.Cases = append(suite.Cases, cell.report(dir, inconclusive))
			}
		}
		report.Suites = append(report.Suites, suite)
	}
	return report
}

func (c *Cell) report(dir string, inconclusive ci.Outcome) ci.Case {
	test := ci.Case{Name: c.Scenario, Seconds: c.Seconds, Why: c.Got}
	if c.Evidence != "" {
		test.Evidence = filepath.Join(dir, c.Evidence)
	}
	if c.Reason != "" {
		test.Detail = append(test.Detail, c.Got+": "+c.Reason)
	}
	switch {
	case c.Got == OutcomeNotRun:
		test.Outcome = ci.Skipped
	case c.Difference:
		test.Outcome, test.Why = ci.Failed, c.Differences[0]
		test.Detail = append(test.Detail, c.Differences[1:]...)
	case c.Got == string(record.Inconclusive):
		test.Outcome = inconclusive
	case !record.Verdict(c.Got).Known(): // of a cell that is explored: no difference, and no verdict
		test.Outcome = ci.Errored
	case c.Expected != "":
		test.Why = fmt.Sprintf("%s, as expected", c.Got)
	}
	return test
}
