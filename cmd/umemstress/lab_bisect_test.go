package main

import (
	"strings"
	"testing"

	"umemstress/workload/record"
)

// What is good and what is bad follows from what was named, and inconclusive is neither.
func TestBisectJudge(t *testing.T) {
	for name, c := range map[string]struct {
		good, bad      []string
		badGiven       bool
		isGood, isBad  record.Verdict
		skipped, other record.Verdict
	}{
		"by default":        {nil, harm(), false, record.Exposed, record.Reproduced, record.Inconclusive, record.Refused},
		"bad alone":         {nil, []string{"exposed"}, true, record.Crashed, record.Exposed, record.Inconclusive, record.Clean},
		"good alone":        {[]string{"refused"}, harm(), false, record.Refused, record.Clean, record.Inconclusive, record.Refused},
		"both":              {[]string{"clean"}, []string{"crashed"}, true, record.Clean, record.Crashed, record.DataLost, record.Clean},
		"inconclusive, too": {nil, []string{"inconclusive"}, true, record.Crashed, record.Inconclusive, "", record.Clean},
	} {
		j, err := newBisectJudge(c.good, c.bad, c.badGiven)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for v, want := range map[record.Verdict]int{c.isGood: 0, c.other: 0, c.isBad: 1, c.skipped: 125} {
			got := j.answer(scenarioOutcome{Verdict: v, Reason: "why"})
			if got.code != want || !strings.Contains(got.why, "why") {
				t.Errorf("%s: %q is %+v, want %d", name, v, got, want)
			}
		}
	}
}

// What a kernel dies of is an answer, so that a step's run does it; one that says otherwise has
// the last word.
func TestBisectMayDie(t *testing.T) {
	t.Chdir(t.TempDir())
	for args, want := range map[string]bool{"--preset quick": true, "--preset quick --allow-crash=false": false} {
		cmd, _, err := newRootCommand().Find([]string{"lab", "bisect"})
		if err != nil {
			t.Fatal(err)
		}
		run, err := newLabRun(cmd, mayDie(strings.Fields(args)), 1)
		if err != nil {
			t.Fatal(err)
		}
		if run.options.AllowCrash != want {
			t.Errorf("%s: may it die? %v", args, run.options.AllowCrash)
		}
	}
}
