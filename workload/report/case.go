package report

import (
	"umemstress/workload/record"
	"umemstress/workload/report/ci"
)

// Case is a record as CI systems read it: the good verdicts pass, the bad ones fail, and
// inconclusive says what becomes of one that proved nothing.
func Case(r *record.Record, dir string, inconclusive ci.Outcome) ci.Case {
	c := ci.Case{
		Name:     r.Scenario.String(),
		Outcome:  ci.Failed,
		Why:      string(r.Verdict) + ": " + r.Reason,
		Detail:   append([]string{meaning(r)}, r.Disagreements...),
		Evidence: dir,
	}
	switch {
	case r.Verdict == record.Inconclusive:
		c.Outcome = inconclusive
	case r.Verdict.ExitCode() == 0:
		c.Outcome = ci.Passed
	}
	for _, p := range r.Phases {
		c.Seconds += p.Seconds
	}
	return c
}
