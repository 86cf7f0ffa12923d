package main

import (
	"testing"

	"umemstress/workload/record"
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
