package main

import (
	"fmt"
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

// The README has how many wrong command lines there are.
func TestReadmeCountsWrongCommands(t *testing.T) {
	table, err := os.ReadFile("../../soft-roce/faults/testdata/commands.txt")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(table)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			n++
		}
	}
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("gives %d wrong command", n); !strings.Contains(string(text), want) {
		t.Errorf("the README does not say that make test %s lines", want)
	}
}
