package matrix

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"umemstress/workload/evidence"
	"umemstress/workload/record"
)

// Repetition is one run of a cell.
type Repetition struct {
	Got           string          `json:"got"` // a verdict, or an outcome such as guest-crashed
	Reason        string          `json:"reason,omitempty"`
	Seconds       float64         `json:"seconds"`
	Exit          *int            `json:"exit,omitempty"` // of the command
	Channels      json.RawMessage `json:"channels,omitempty"`
	Phases        []Phase         `json:"phases,omitempty"`
	Disagreements []string        `json:"disagreements,omitempty"` // between channels that should count the same
	Attempts      int             `json:"attempts"`
	Earlier       []string        `json:"earlier,omitempty"`  // how the lab failed the attempts before the last
	Evidence      string          `json:"evidence,omitempty"` // directory, relative to matrix.json
}

// Phase is what became of a phase of a run.
type Phase struct {
	Name    string `json:"name"`
	Outcome string `json:"outcome"`
	Detail  string `json:"detail,omitempty"`
}

// cellRecord is run.json, but for the channels, which stay as they are: the page shows what a
// later version adds, too.
type cellRecord struct {
	record.Record
	Channels json.RawMessage `json:"channels"`
}

// read takes in the evidence of a cell whose command exited with code, and says
// what it amounts to. The exit code and run.json have to say the same.
func (rep *Repetition) read(dir string, code int) (got, reason string) {
	isVerdict := func(v record.Verdict) bool { return v.ExitCode() == code }
	if !slices.ContainsFunc(record.Verdicts(), isVerdict) {
		said := lastLine(readFile(filepath.Join(dir, "stderr.log")))
		return OutcomeFailed, fmt.Sprintf("exit code %d: %s", code, strings.TrimPrefix(said, "umemstress: "))
	}
	raw, err := os.ReadFile(filepath.Join(dir, evidence.RunFile))
	if err != nil {
		return OutcomeFailed, fmt.Sprintf("exit code %d, but there is no evidence: %v", code, err)
	}
	var run cellRecord
	if err := json.Unmarshal(raw, &run); err != nil {
		return OutcomeFailed, fmt.Sprintf("run.json: %v", err)
	}
	switch {
	case run.Schema != record.Schema:
		return OutcomeFailed, fmt.Sprintf("run.json: schema %q, want %q", run.Schema, record.Schema)
	case !run.Verdict.Known() || !isVerdict(run.Verdict):
		return OutcomeFailed, fmt.Sprintf("run.json has the verdict %q, but the exit code is %d", run.Verdict, code)
	}
	rep.Channels, rep.Disagreements = run.Channels, run.Disagreements
	for _, p := range run.Phases {
		rep.Phases = append(rep.Phases, Phase{Name: p.Name, Outcome: p.Outcome, Detail: p.Detail})
	}
	return string(run.Verdict), run.Reason
}

// runningPhase is the phase that a run was in when it died, if run.json tells.
func runningPhase(dir string) string {
	var run cellRecord
	if json.Unmarshal(readFile(filepath.Join(dir, evidence.RunFile)), &run) != nil {
		return ""
	}
	for _, p := range run.Phases {
		if p.Outcome == record.OutcomeRunning {
			return p.Name
		}
	}
	return ""
}

func lastLine(text []byte) string {
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return string(lines[len(lines)-1])
}

// compare says how the repetitions of a cell differ from what is expected and
// from each other, and which of them is to be shown.
func (e *Expectation) compare(repetitions []Repetition) (differences []string, shown int) {
	shown = -1
	seen := map[string]int{}
	for i := range repetitions {
		rep := &repetitions[i]
		if rep.Got != OutcomeNotRun {
			seen[rep.Got]++
		}
		for _, d := range e.differences(rep) {
			if len(repetitions) > 1 {
				d = fmt.Sprintf("repetition %d: %s", i+1, d)
			}
			differences = append(differences, d)
			if shown < 0 {
				shown = i
			}
		}
	}
	if e.Verdict != "" && len(seen) > 1 {
		var counts []string
		for _, got := range slices.Sorted(maps.Keys(seen)) {
			counts = append(counts, fmt.Sprintf("%d %s", seen[got], got))
		}
		differences = append(differences, "repetitions differ: "+strings.Join(counts, ", "))
	}
	return differences, max(shown, 0)
}

// differences says how a run differs from what is expected. One that is
// explored, or has not run, differs from nothing.
func (e *Expectation) differences(rep *Repetition) []string {
	if e.Verdict == "" || rep.Got == OutcomeNotRun {
		return nil
	}
	var differences []string
	if rep.Got != e.Verdict {
		differences = append(differences, fmt.Sprintf("expected %s, got %s: %s", e.Verdict, rep.Got, rep.Reason))
	} else if e.Pages != "" {
		if why := e.wrongPages(rep.Channels); why != "" {
			differences = append(differences, why)
		}
	}
	for _, d := range rep.Disagreements {
		differences = append(differences, "channels disagree: "+d)
	}
	return differences
}

func (e *Expectation) wrongPages(channels json.RawMessage) string {
	var counted record.Channels
	if err := json.Unmarshal(channels, &counted); err != nil {
		return fmt.Sprintf("%s does not count the pages: %v", evidence.RunFile, err)
	}
	hit, of, channel := record.Verdict(e.Verdict).HitPages(counted)
	if hit == 0 || e.Pages == PagesAll && hit != of {
		return fmt.Sprintf("expected %s pages, but %d of %d were hit (channel %s)", e.Pages, hit, of, channel)
	}
	return ""
}
