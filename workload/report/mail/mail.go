// Package mail writes what a maintainer of the kernel wants to be told: the symptom and its worth,
// what was done, how to see it again, what was counted, stacks, what the kernel said, and what is
// not known.
//
// It is pure: what a run recorded, or what an observer saw, goes in, and a [Report] comes out, which
// is the same as text ([Report.Text]) and as JSON. Both may be anybody's: whatever is told of them is
// short, and nothing that a terminal obeys.
package mail

import (
	"fmt"
	"strings"

	"umemstress/workload/internal/printable"
	"umemstress/workload/record"
	"umemstress/workload/remedy"
)

// Schema is of a Report as JSON.
const Schema = "umemstress.report/v1"

// What a report is made of.
const (
	OfRun     = "run"
	OfJournal = "journal"
)

// Report is what the mail says.
type Report struct {
	Schema   string         `json:"schema"`
	Of       string         `json:"of"` // run or journal
	Tool     string         `json:"tool,omitempty"`
	Subject  string         `json:"subject"`
	To       []string       `json:"to"`
	Cc       []string       `json:"cc"`
	Sections []string       `json:"sections"`            // of MAINTAINERS, whose lists these are
	Effect   record.Verdict `json:"effect,omitempty"`    // the worst that was seen; empty: no more than stripped pages
	Defect   string         `json:"defect,omitempty"`    // what it is of, where that is no effect on a file: unwoken or arrived-wrong
	Symptom  []string       `json:"symptom"`             // paragraphs, the worst first
	Done     []string       `json:"done,omitempty"`      // steps, in order
	Commands []Command      `json:"reproduce,omitempty"` // that show it again
	Facts    []Fact         `json:"facts"`               // of the kernel, the machine and the file
	Seen     []Fact         `json:"seen"`                // by whom
	Stacks   []Stack        `json:"stacks,omitempty"`    // of the kernel
	Quotes   []Quote        `json:"quotes,omitempty"`    // of the kernel's log
	Fixes    []Fix          `json:"fixes,omitempty"`     // that concern it, or neighbouring routes
	Unfixed  string         `json:"unfixed,omitempty"`   // what none of them takes away
	Doubts   []string       `json:"doubts,omitempty"`    // witnesses that do not agree
	Unknown  []string       `json:"unknown"`
}

// Command shows it again.
type Command struct {
	Line  string `json:"command"`
	About string `json:"about"`
}

// Fact is a name and what there is to say of it.
type Fact struct {
	Name string `json:"name"`
	Says string `json:"says"`
}

// Stack is one of the kernel, innermost function first.
type Stack struct {
	Of     string   `json:"of"` // release, strip, drop, pin or wait
	Frames []string `json:"frames"`
	Cut    bool     `json:"cut,omitempty"` // there were more
}

// Fix is a commit and whether the kernel has it, by its version.
type Fix struct {
	remedy.FixState
	Neighbour bool `json:"neighbour"` // it closes another route to the same end
}

const (
	maxText   = 400 // bytes of one thing that somebody recorded
	maxFrames = 40  // of a stack
	maxStacks = 2   // of one sort
	maxDoubts = 8
)

// text is something of unknown origin as it is told.
func text(s string) string {
	s = strings.ReplaceAll(s, "\t", " ")
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "") + " ..."
	}
	return printable.Text(s)
}

// sayf is a text of several things, each of which may be of unknown origin.
func sayf(format string, args ...any) string {
	for i, a := range args {
		switch v := a.(type) {
		case string:
			args[i] = text(v)
		case record.Verdict:
			args[i] = text(string(v))
		}
	}
	return fmt.Sprintf(format, args...)
}

// count is a number of things in words.
func count[N ~int | ~int64 | ~uint64](n N, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// NothingError says why there is no mail: nothing happened, or nothing that could be told of.
type NothingError struct{ Why string }

func (e *NothingError) Error() string { return e.Why }

// Usage marks it as the caller's: a report of nothing was asked for.
func (*NothingError) Usage() bool { return true }

// fixes are those that concern the trouble as it was witnessed, and those of neighbouring routes.
func (r *Report) fixes(t remedy.Trouble) {
	for _, f := range remedy.FixesFor(t) {
		r.Fixes = append(r.Fixes, Fix{FixState: f})
	}
	for _, f := range remedy.Neighbours(t) {
		r.Fixes = append(r.Fixes, Fix{FixState: f, Neighbour: true})
	}
	r.Unfixed = remedy.Unfixed(t)
}

// stack adds one, as far as there is room.
func (r *Report) stack(of string, frames []string) {
	same := 0
	for _, s := range r.Stacks {
		if s.Of == of {
			same++
		}
	}
	if len(frames) == 0 || same == maxStacks {
		return
	}
	s := Stack{Of: of, Cut: len(frames) > maxFrames}
	for _, f := range frames[:min(len(frames), maxFrames)] {
		s.Frames = append(s.Frames, text(f))
	}
	r.Stacks = append(r.Stacks, s)
}
