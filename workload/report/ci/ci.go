// Package ci writes what CI systems read of results: JUnit XML and KTAP. It needs nothing
// but the results.
package ci

import (
	"strings"
	"time"
	"unicode"
)

// Report is results to be written, suite by suite.
type Report struct {
	Name   string
	Suites []Suite
}

// Suite is the cases of one kernel.
type Suite struct {
	Name    string
	Started time.Time
	Kernel  string // uname -r
	Cases   []Case
}

// Case is one scenario that was run, or was to be.
type Case struct {
	Name     string
	Outcome  Outcome
	Why      string   // one line
	Detail   []string // lines
	Seconds  float64
	Evidence string // a directory; "" without one
}

// Outcome is what became of a case.
type Outcome int

// The outcomes. A case that errored did not get as far as to fail.
const (
	Passed Outcome = iota
	Failed
	Errored
	Skipped
)

// count is how many cases of a suite came out so.
func (s Suite) count(outcome Outcome) (n int) {
	for _, c := range s.Cases {
		if c.Outcome == outcome {
			n++
		}
	}
	return n
}

// outcome is that of the suite as a whole.
func (s Suite) outcome() Outcome {
	switch {
	case s.count(Failed) > 0:
		return Failed
	case s.count(Errored) > 0:
		return Errored
	case s.count(Skipped) == len(s.Cases): // none, too: nothing passed
		return Skipped
	}
	return Passed
}

func (s Suite) seconds() (sum float64) {
	for _, c := range s.Cases {
		sum += c.Seconds
	}
	return sum
}

// line makes text that fits on one: what breaks lines, or steers a terminal, becomes a space.
func line(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}
