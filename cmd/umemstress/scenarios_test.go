package main

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/workload"
	"umemstress/workload/scenario"
)

func scenariosSay(t *testing.T, args ...string) string {
	t.Helper()
	var out, log bytes.Buffer
	if code := execute(t.Context(), append([]string{"scenarios"}, args...), &out, &log); code != exit.Clean {
		t.Fatalf("exit code %d: %s", code, log.String())
	}
	return out.String()
}

// Without a list it fits a screen or two, and has each choice with what it is.
func TestScenariosShort(t *testing.T) {
	text := scenariosSay(t)
	if lines := strings.Count(text, "\n"); lines > 50 {
		t.Errorf("%d lines", lines)
	}
	choices := workload.Presets()
	for _, part := range scenario.Parts() {
		choices = append(choices, workload.Scenarios().Choices(part)...)
	}
	for _, c := range choices {
		form := `(?m)^\w* +` + c.Name + ` +` + regexp.QuoteMeta(c.What) + `($|; also )`
		if c.Like != "" {
			form = `(?m)[ ,]` + c.Name + ` \(` + regexp.QuoteMeta(c.What) + `\)(,|$)`
		}
		if !regexp.MustCompile(form).MatchString(text) {
			t.Errorf("%s is not there: %s", c.Name, c.What)
		}
	}
}

// counts are how many lines that begin with two blanks have what is named first, and how many are that.
type counts struct{ named, whole map[string]int }

func countLines(text string) counts {
	c := counts{map[string]int{}, map[string]int{}}
	for line := range strings.Lines(text) {
		line, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "  ")
		if !ok {
			continue
		}
		name, _, described := strings.Cut(line, " ")
		if described {
			c.named[name]++
		}
		c.whole[line]++
	}
	return c
}

// The list has each scenario that makes sense once, with what it shows, and each
// reason why others make none; --all has those themselves.
func TestScenariosCommand(t *testing.T) {
	list, all := countLines(scenariosSay(t, "--list")), countLines(scenariosSay(t, "--all"))
	for _, e := range workload.Scenarios().All() {
		name := e.Scenario.String()
		sensible := e.Nonsense == ""
		if got := list.named[name]; sensible != (got == 1) || !sensible && got > 0 {
			t.Errorf("%s is listed %d times", name, got)
		}
		if all.named[name] != 1 {
			t.Errorf("%s is not in --all", name)
		}
		if !sensible && list.whole[e.Nonsense] != 1 {
			t.Errorf("the reason of %s is not listed once: %s", name, e.Nonsense)
		}
	}
	var got []scenario.Explained
	if err := json.Unmarshal([]byte(scenariosSay(t, "--format", "json")), &got); err != nil || len(got) == 0 {
		t.Fatalf("%d scenarios, %v", len(got), err)
	}
	for _, e := range got {
		if e.Nonsense != "" || e.Shows == "" {
			t.Errorf("in JSON: %+v", e)
		}
	}
}
