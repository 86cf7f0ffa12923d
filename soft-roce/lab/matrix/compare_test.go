package matrix

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"umemstress/soft-roce/lab/internal/labtest"
)

const lostChannels = `{"disk": {"state": "ok", "checked_pages": 1024, "stale_pages": 1000}, "clone": {"state": "absent"}}`

func TestReadOfACell(t *testing.T) {
	for name, tt := range map[string]struct {
		code        int
		run, stderr string
		got, reason string
	}{
		"verdict": {
			code: 12, run: `{"schema": "umemstress.run/v1", "verdict": "data-lost", "reason": "why", "channels": ` + lostChannels + `, "disagreements": ["a"],
				"phases": [{"name": "pin", "started": "2026-11-28T09:00:00Z", "seconds": 0.5, "outcome": "done", "detail": "16 pages"}]}`,
			got: "data-lost", reason: "why",
		},
		"refused": {code: 0, run: `{"schema": "umemstress.run/v1", "verdict": "refused", "reason": "EFAULT"}`, got: "refused", reason: "EFAULT"},
		"host lacks": {
			code: 3, stderr: "level=info msg=x\numemstress: no mkfs.xfs: install xfsprogs\n",
			got: OutcomeFailed, reason: "exit code 3: no mkfs.xfs: install xfsprogs",
		},
		"no evidence":   {code: 0, got: OutcomeFailed, reason: "no evidence"},
		"torn":          {code: 0, run: `{"schema"`, got: OutcomeFailed, reason: "run.json: "},
		"other schema":  {code: 0, run: `{"schema": "umemstress.run/v2", "verdict": "clean"}`, got: OutcomeFailed, reason: `schema "umemstress.run/v2"`},
		"contradiction": {code: 0, run: `{"schema": "umemstress.run/v1", "verdict": "data-lost"}`, got: OutcomeFailed, reason: `verdict "data-lost", but the exit code is 0`},
		"unknown word":  {code: 0, run: `{"schema": "umemstress.run/v1", "verdict": "fine"}`, got: OutcomeFailed, reason: `verdict "fine"`},
	} {
		dir := t.TempDir()
		if tt.run != "" {
			labtest.WriteFile(t, filepath.Join(dir, "run.json"), tt.run)
		}
		labtest.WriteFile(t, filepath.Join(dir, "stderr.log"), tt.stderr)
		var rep Repetition
		got, reason := rep.read(dir, tt.code)
		if got != tt.got || !strings.Contains(reason, tt.reason) {
			t.Errorf("%s: %s: %s, want %s: %s", name, got, reason, tt.got, tt.reason)
		}
		if name == "verdict" && (string(rep.Channels) != lostChannels || len(rep.Disagreements) != 1 || !slices.Equal(rep.Phases, []Phase{{"pin", "done", "16 pages"}})) {
			t.Errorf("%s: channels %s, disagreements %q, phases %+v", name, rep.Channels, rep.Disagreements, rep.Phases)
		}
	}
}

func TestRunningPhase(t *testing.T) {
	dir := t.TempDir()
	if got := runningPhase(dir); got != "" {
		t.Errorf("without evidence: %q", got)
	}
	labtest.WriteFile(t, filepath.Join(dir, "run.json"), `{"phases": [{"name": "pin", "outcome": "done"}, {"name": "release", "outcome": "running"}]}`)
	if got := runningPhase(dir); got != "release" {
		t.Errorf("%q, want release", got)
	}
}

func TestCompare(t *testing.T) {
	lost := Repetition{Got: "data-lost", Reason: "gone", Channels: json.RawMessage(lostChannels)}
	clean := Repetition{Got: "clean", Reason: "fine"}
	disagreeing := Repetition{Got: "clean", Disagreements: []string{"probes 3, disk 4"}}
	notRun := Repetition{Got: OutcomeNotRun}
	crashed := Repetition{Got: OutcomeCrashed, Reason: "BUG"}
	for name, tt := range map[string]struct {
		e     Expectation
		reps  []Repetition
		want  string // joined with " | "
		shown int
	}{
		"as expected":          {Expectation{Verdict: "clean"}, []Repetition{clean}, "", 0},
		"other verdict":        {Expectation{Verdict: "clean"}, []Repetition{lost}, "expected clean, got data-lost: gone", 0},
		"crash":                {Expectation{Verdict: "clean"}, []Repetition{crashed}, "expected clean, got guest-crashed: BUG", 0},
		"some pages":           {Expectation{Verdict: "data-lost", Pages: PagesSome}, []Repetition{lost}, "", 0},
		"not all pages":        {Expectation{Verdict: "data-lost", Pages: PagesAll}, []Repetition{lost}, "expected all pages, but 1000 of 1024 were hit (channel disk)", 0},
		"channels disagree":    {Expectation{Verdict: "clean"}, []Repetition{disagreeing}, "channels disagree: probes 3, disk 4", 0},
		"not run":              {Expectation{Verdict: "clean"}, []Repetition{notRun}, "", 0},
		"explored":             {Expectation{}, []Repetition{lost, clean, disagreeing}, "", 0},
		"repeated":             {Expectation{Verdict: "clean"}, []Repetition{clean, clean, notRun}, "", 0},
		"repetitions differ":   {Expectation{Verdict: "clean"}, []Repetition{clean, lost, clean}, "repetition 2: expected clean, got data-lost: gone | repetitions differ: 2 clean, 1 data-lost", 1},
		"all repetitions lose": {Expectation{Verdict: "clean"}, []Repetition{lost, lost}, "repetition 1: expected clean, got data-lost: gone | repetition 2: expected clean, got data-lost: gone", 0},
	} {
		differences, shown := tt.e.compare(tt.reps)
		if got := strings.Join(differences, " | "); got != tt.want || shown != tt.shown {
			t.Errorf("%s: %q, shown %d; want %q, %d", name, got, shown, tt.want, tt.shown)
		}
	}
	// Pages that are not counted must not pass as all of them.
	e := Expectation{Verdict: "corrupted", Pages: PagesAll}
	for _, channels := range []string{"", `{}`, `{"clone": {"state": "ok"}}`, `{"clone": {"changed_pages": 0, "checked_pages": 0}}`} {
		rep := Repetition{Got: "corrupted", Channels: json.RawMessage(channels)}
		if got, _ := e.compare([]Repetition{rep}); len(got) != 1 {
			t.Errorf("channels %q: %q, want one difference", channels, got)
		}
	}
}
