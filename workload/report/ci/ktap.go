package ci

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// KTAP writes the Kernel Test Anything Protocol, version 1 (Documentation/dev-tools/ktap.rst
// of Linux): a test for each suite, with a subtest for each of its cases. What is told of a
// case stands in diagnostic lines before its result.
func (r Report) KTAP(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "KTAP version 1\n1..%d\n", len(r.Suites))
	for i, s := range r.Suites {
		s.ktap(&b)
		b.WriteString(resultLine(s.outcome(), i+1, s.Name, ""))
	}
	_, err := w.Write(b.Bytes())
	return err
}

const indent = "  " // of a level

func (s Suite) ktap(b *bytes.Buffer) {
	fmt.Fprintf(b, indent+"KTAP version 1\n"+indent+"# Subtest: %s\n"+indent+"1..%d\n", description(s.Name), len(s.Cases))
	for i, c := range s.Cases {
		for _, l := range c.diagnostics() {
			fmt.Fprintf(b, indent+"# %s\n", diagnostic(l))
		}
		b.WriteString(indent + resultLine(c.Outcome, i+1, c.Name, c.Why))
	}
}

func (c Case) diagnostics() []string {
	lines := c.Detail
	if c.Outcome == Passed && c.Why != "" {
		lines = append([]string{c.Why}, lines...)
	}
	if c.Evidence != "" {
		lines = append(lines[:len(lines):len(lines)], "evidence: "+c.Evidence)
	}
	return lines
}

// resultLine is "ok 1 name", or what the format has for the other outcomes.
func resultLine(outcome Outcome, number int, name, why string) string {
	word, directive := "ok", ""
	switch outcome {
	case Passed:
		return fmt.Sprintf("ok %d %s\n", number, description(name))
	case Skipped:
		directive = "SKIP"
	case Failed:
		word = "not ok"
	case Errored:
		word, directive = "not ok", "ERROR"
	}
	tail := strings.TrimSpace(directive + " " + description(why))
	if tail != "" {
		tail = " # " + tail
	}
	return fmt.Sprintf("%s %d %s%s\n", word, number, description(name), tail)
}

// diagnostic is any line but the one that names a subtest.
func diagnostic(text string) string {
	if text = line(text); strings.HasPrefix(text, "Subtest:") {
		return "> " + text
	}
	return text
}

// description can have any characters but # and those that break lines. So can what follows a
// result: its readers look for a directive behind any # of the line.
func description(name string) string {
	return strings.TrimSpace(strings.ReplaceAll(line(name), "#", "_"))
}
