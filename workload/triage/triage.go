// Package triage says what a log of a kernel tells of the bug: whether it is this one, how surely,
// which lines say so, who pinned, and what to do now.
//
// The log may be anybody's, of any length, in any of the forms in which kernels' logs are passed
// on; see [Read]. It is pure: lines in, a [Diagnosis] out. What a line is about is told by package
// kmsg, and whether a thread died of this bug by package record, as in a run that is judged.
// What happened comes from the log's words alone, never from a kernel's version.
package triage

import (
	"umemstress/workload/record"
	"umemstress/workload/remedy"
)

// Schema is of a Diagnosis as JSON.
const Schema = "umemstress.triage/v1"

// Sure is how sure it is that a log, or a part of it, tells of this bug.
type Sure string

// How sure. Possible and less is no proof that it happened, and Nothing none that it did not: the
// kernel warns of it once a boot, and of what it throws away only as often as a rate limit lets it.
const (
	Certain  Sure = "certain"  // the kernel's words leave no other cause
	Likely   Sure = "likely"   // it happened where this bug is met, and words that would make it certain are missing
	Possible Sure = "possible" // a part of the picture
	Other    Sure = "other"    // what went wrong is another bug
	Nothing  Sure = "nothing"  // nothing in the log is a sign of this bug or of another
)

// rank orders them, the surest first.
func (s Sure) rank() int {
	for i, other := range []Sure{Certain, Likely, Possible, Other} {
		if s == other {
			return i
		}
	}
	return 4
}

// Diagnosis is the answer.
type Diagnosis struct {
	Schema string `json:"schema"`
	Sure   Sure   `json:"sure"`
	Why    string `json:"why"`
	// Effect is the worst that the log tells of this bug, as verdicts have it: crashed, data-lost
	// (pages were thrown away), reproduced (dirtied without buffers), exposed (not written, and
	// who asked was told). Empty where that is not even likely.
	Effect     record.Verdict `json:"effect,omitempty"`
	Kernel     string         `json:"kernel,omitempty"` // release of the kernel that it happened to, and version of its build
	Filesystem string         `json:"filesystem,omitempty"`
	Devices    []string       `json:"devices,omitempty"` // that pages are known of
	Holder     *Holder        `json:"holder,omitempty"`  // who kept the pages pinned, where anything tells
	Programs   []Program      `json:"programs,omitempty"`
	Findings   []Finding      `json:"findings,omitempty"` // of this bug, the surest first
	Others     []Finding      `json:"others,omitempty"`   // the first of what is none of this bug
	Doubts     []string       `json:"doubts,omitempty"`   // what the log may have left out
	Now        *remedy.Now    `json:"now,omitempty"`      // unless it is another bug, or nothing
	Log        Log            `json:"log"`
}

// Holder is who kept the pages pinned (remedy.Holders).
type Holder struct {
	Name string `json:"name"`
	Sure Sure   `json:"sure"` // certain: a trace of its release; possible: it could have been
	Why  string `json:"why"`
}

// Program is a thread that a finding names. Who releases, reclaims or writes back is often
// another than who pinned.
type Program struct {
	Comm   string `json:"comm"`
	PID    uint64 `json:"pid,omitempty"` // of the thread
	Did    string `json:"did"`
	Worker bool   `json:"worker,omitempty"` // a thread of the kernel's own, which works for others
}

// Finding is what the log tells in one place, or in many lines of one kind.
type Finding struct {
	Kind   string         `json:"kind"` // of probes/kmsg: warning, bug, oops, panic, hung, bufferless, untold, ...
	Sure   Sure           `json:"sure"`
	Effect record.Verdict `json:"effect,omitempty"`
	Says   string         `json:"says"`  // what it means
	Where  string         `json:"where"` // the kernel's words, and its functions from the place on
	Count  uint64         `json:"count"` // lines of this kind, or 1
	Lines  []Line         `json:"lines"` // that say so, at most maxEvidence
}

// Line is a line of the log that says so.
type Line struct {
	Number uint64 `json:"number"` // in the file, from 1
	Text   string `json:"text"`   // as it was read; put together, where it had been wrapped
}

// Log is what was read.
type Log struct {
	Lines      uint64 `json:"lines"`
	Kernel     uint64 `json:"kernel_lines"` // that begin as a kernel's do, or tell something
	Boots      uint64 `json:"boots"`        // that begin in it
	Cut        uint64 `json:"cut_lines"`    // longer than maxLine, of which the rest was left out
	Suppressed uint64 `json:"suppressed"`   // messages that a rate limit swallowed, as far as the kernel says so
}

const (
	maxEvidence = 12 // lines of a finding
	maxFindings = 16 // of this bug; what comes after them tells no more
	maxOthers   = 8
	maxPrograms = 8
	maxDevices  = 8
)

// Status is the exit code for the answer: the effect's, 0 where it is another bug, and that of
// an inconclusive run where the log does not tell.
func (d *Diagnosis) Status() int {
	switch {
	case d.Effect != "" && d.Sure.rank() <= Likely.rank():
		return d.Effect.ExitCode()
	case d.Sure == Other:
		return 0
	}
	return record.Inconclusive.ExitCode()
}
