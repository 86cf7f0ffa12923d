package matrix

import (
	"testing"

	"umemstress/workload/report/ci"
)

func TestReport(t *testing.T) {
	cell := func(kernel, scenario, expected, got string, differences ...string) Cell {
		return Cell{
			Kernel: kernel, Release: kernel + ".1", Scenario: scenario, Expected: expected,
			Repetition: Repetition{Got: got, Seconds: 2, Reason: "so it was", Evidence: kernel + "/" + scenario},
			Difference: len(differences) > 0, Differences: differences,
		}
	}
	result := &Result{Cells: []Cell{
		cell("5.10", "a", "data-lost", "data-lost"),
		cell("5.10", "b", "clean", "data-lost", "expected clean, got data-lost", "channels disagree"),
		cell("5.10", "c", "inconclusive", "inconclusive"),
		cell("5.10", "d", "", "timeout"),
		cell("5.10", "e", "", "crashed"),
		cell("5.10", "f", "clean", OutcomeNotRun),
		cell("6.1", "c", "clean", "inconclusive", "expected clean, got inconclusive"),
	}}
	for inconclusive, want := range map[ci.Outcome][]ci.Outcome{
		ci.Skipped: {ci.Passed, ci.Failed, ci.Skipped, ci.Errored, ci.Passed, ci.Skipped},
		ci.Failed:  {ci.Passed, ci.Failed, ci.Failed, ci.Errored, ci.Passed, ci.Skipped},
	} {
		report := result.Report("/evidence", inconclusive)
		if len(report.Suites) != 2 || report.Suites[0].Kernel != "5.10.1" || len(report.Suites[0].Cases) != len(want) {
			t.Fatalf("%+v", report)
		}
		for i, c := range report.Suites[0].Cases {
			if c.Outcome != want[i] {
				t.Errorf("%s: outcome %d, want %d", c.Name, c.Outcome, want[i])
			}
		}
		// Not to be what it was expected to be is a failure, and no choice.
		if c := report.Suites[1].Cases[0]; c.Outcome != ci.Failed || c.Why != "expected clean, got inconclusive" {
			t.Errorf("%+v", c)
		}
	}
	failed := result.Report("/evidence", ci.Skipped).Suites[0].Cases[1]
	if failed.Why != "expected clean, got data-lost" || failed.Evidence != "/evidence/5.10/b" || failed.Seconds != 2 ||
		len(failed.Detail) != 2 || failed.Detail[0] != "data-lost: so it was" || failed.Detail[1] != "channels disagree" {
		t.Errorf("%+v", failed)
	}
}
