package main

import (
	"slices"
	"testing"

	"umemstress/workload/record"
	"umemstress/workload/report/ci"
)

// The exit code is that of the outcome that matters most, whatever its number.
func TestWorst(t *testing.T) {
	for _, c := range []struct {
		exits []int
		want  int
	}{
		{nil, exitClean},
		{[]int{exitClean, exitHostLacks, exitClean}, exitHostLacks},
		{[]int{record.Inconclusive.ExitCode(), exitHostLacks}, record.Inconclusive.ExitCode()},
		{[]int{exitHostLacks, exitFailed, record.Inconclusive.ExitCode()}, exitFailed},
		{[]int{exitFailed, record.Exposed.ExitCode()}, record.Exposed.ExitCode()},
		{[]int{record.Corrupted.ExitCode(), record.DataLost.ExitCode(), record.Reproduced.ExitCode()}, record.Corrupted.ExitCode()},
	} {
		var outcomes []scenarioOutcome
		for _, exit := range c.exits {
			outcomes = append(outcomes, scenarioOutcome{Exit: exit})
		}
		if got := exitCode(worst(outcomes)); got != c.want {
			t.Errorf("%v: exit code %d, want %d", c.exits, got, c.want)
		}
	}
}

// A run without a verdict is a case as well: one that this host cannot do is skipped.
func TestReportOf(t *testing.T) {
	lost := &record.Record{Verdict: record.DataLost, Reason: "why", Kernel: "5.10.0", Phases: []record.Phase{{Seconds: 1}, {Seconds: 2}}}
	unclear := &record.Record{Verdict: record.Inconclusive}
	report := reportOf([]scenarioOutcome{
		{Exit: exitHostLacks, Reason: "no device"},
		{Exit: exitFailed, Reason: "mkfs"},
		{record: lost, Verdict: lost.Verdict},
		{record: unclear, Verdict: unclear.Verdict},
		{record: &record.Record{Verdict: record.Refused}, Verdict: record.Refused},
	}, ci.Failed)
	suite := report.Suites[0]
	var got []ci.Outcome
	for _, c := range suite.Cases {
		got = append(got, c.Outcome)
	}
	if want := []ci.Outcome{ci.Skipped, ci.Errored, ci.Failed, ci.Failed, ci.Passed}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if suite.Kernel != "5.10.0" || suite.Cases[2].Why != "data-lost: why" || suite.Cases[2].Seconds != 3 || suite.Cases[0].Why != "no device" {
		t.Errorf("%+v", suite)
	}
}
