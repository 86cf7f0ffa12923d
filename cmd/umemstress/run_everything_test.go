package main

import (
	"slices"
	"testing"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/workload/record"
	"umemstress/workload/report/ci"
)

// The exit code is that of the outcome that matters most, whatever its number.
func TestWorst(t *testing.T) {
	for _, c := range []struct {
		exits []int
		want  int
	}{
		{nil, exit.Clean},
		{[]int{exit.Clean, exit.HostLacks, exit.Clean}, exit.HostLacks},
		{[]int{record.Inconclusive.ExitCode(), exit.HostLacks}, record.Inconclusive.ExitCode()},
		{[]int{exit.HostLacks, exit.Failed, record.Inconclusive.ExitCode()}, exit.Failed},
		{[]int{exit.Failed, record.Exposed.ExitCode()}, record.Exposed.ExitCode()},
		{[]int{record.Corrupted.ExitCode(), record.DataLost.ExitCode(), record.Reproduced.ExitCode()}, record.Corrupted.ExitCode()},
	} {
		var outcomes []scenarioOutcome
		for _, code := range c.exits {
			outcomes = append(outcomes, scenarioOutcome{Exit: code})
		}
		if got := exit.Code(worst(outcomes)); got != c.want {
			t.Errorf("%v: exit code %d, want %d", c.exits, got, c.want)
		}
	}
}

// A run without a verdict is a case as well: one that this host cannot do is skipped.
func TestReportOf(t *testing.T) {
	lost := &record.Record{Verdict: record.DataLost, Reason: "why", Kernel: "5.10.0", Phases: []record.Phase{{Seconds: 1}, {Seconds: 2}}}
	unclear := &record.Record{Verdict: record.Inconclusive}
	report := reportOf([]scenarioOutcome{
		{Exit: exit.HostLacks, Reason: "no device"},
		{Exit: exit.Failed, Reason: "mkfs"},
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

// A verdict of harm stands when the run could not be taken down; good news does not.
func TestRunStatus(t *testing.T) {
	for _, c := range []struct {
		verdict record.Verdict
		cleanup string
		want    int
	}{
		{record.DataLost, "", 12}, {record.DataLost, "clean up: rmdir: busy", 12},
		{record.Clean, "", exit.Clean}, {record.Clean, "clean up: rmdir: busy", exit.Failed},
		{record.Inconclusive, "clean up: rmdir: busy", 4},
	} {
		if got := exit.Code(runStatus(&record.Record{Verdict: c.verdict, CleanupError: c.cleanup})); got != c.want {
			t.Errorf("%s, %q: %d, want %d", c.verdict, c.cleanup, got, c.want)
		}
	}
}
