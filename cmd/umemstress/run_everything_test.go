package main

import "testing"

// The exit code is that of the outcome that matters most, whatever its number.
func TestWorst(t *testing.T) {
	for _, c := range []struct {
		exits []int
		want  int
	}{
		{nil, exitClean},
		{[]int{exitClean, exitHostLacks, exitClean}, exitHostLacks},
		{[]int{exitInconclusive, exitHostLacks}, exitInconclusive},
		{[]int{exitHostLacks, exitFailed, exitInconclusive}, exitFailed},
		{[]int{exitFailed, exitExposed}, exitExposed},
		{[]int{exitCorrupted, exitDataLost, exitReproduced}, exitCorrupted},
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
