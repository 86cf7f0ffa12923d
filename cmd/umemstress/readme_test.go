package main

import (
	"os"
	"strings"
	"testing"

	"umemstress/workload"
	"umemstress/workload/scenario"
)

// The README has every choice of a scenario in the row of its flag, every preset and
// every command.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	row := func(begin string) string {
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, begin) {
				return line
			}
		}
		t.Errorf("the README has no line that begins with %q", begin)
		return ""
	}
	for _, part := range scenario.Parts() {
		line := row("| `--" + string(part) + "` |")
		for _, c := range workload.Scenarios().Choices(part) {
			if !strings.Contains(line, "`"+c.Name+"`") {
				t.Errorf("--%s %s is not in its row of the README", part, c.Name)
			}
		}
	}
	for _, p := range workload.Presets() {
		row("| `" + p.Name + "` |")
	}
	for _, cmd := range newRootCommand().Commands() {
		if !cmd.Hidden && cmd.Name() != "completion" && cmd.Name() != "help" {
			row("    umemstress " + cmd.Name())
		}
	}
}
