package report

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"umemstress/workload/triage"
)

// How many lines of a finding a person is shown, and of one that is many lines of a kind. JSON
// has more.
const (
	maxShown   = 10
	maxOfAKind = 3
)

// Diagnosis writes what a log tells of the bug, which lines say so, and what to do now. What it
// shows of the log is text and nothing that a terminal obeys.
func Diagnosis(w io.Writer, d *triage.Diagnosis) error {
	t := table{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
	t.row("this bug", "%s", sureWords[d.Sure])
	t.row("why", "%s", d.Why)
	if d.Effect != "" {
		t.row("effect", "%s", d.Effect)
	}
	if d.Kernel != "" {
		t.row("kernel", "%s", d.Kernel)
	}
	if d.Filesystem != "" {
		line := d.Filesystem
		if len(d.Devices) > 0 {
			line += ", on " + strings.Join(d.Devices, ", ")
		}
		t.row("file system", "%s", line)
	}
	if d.Holder != nil {
		t.row("holder", "%s (%s): %s", d.Holder.Name, d.Holder.Sure, d.Holder.Why)
	} else if d.Now != nil {
		t.row("holder", "nothing in the log tells who kept the pages pinned")
	}
	for _, p := range d.Programs {
		line := p.Comm
		if p.PID != 0 {
			line += fmt.Sprintf(" (thread %d)", p.PID)
		}
		line += ": " + p.Did
		if p.Worker {
			line += "; it is a worker of the kernel, and for whom it works the log does not tell"
		}
		t.row("program", "%s", line)
	}
	for _, f := range d.Findings {
		t.finding(f)
	}
	for _, f := range d.Others {
		t.finding(f)
	}
	for _, doubt := range d.Doubts {
		t.row("doubt", "%s", doubt)
	}
	if d.Now != nil {
		if r := d.Now.Reproduce; r != nil {
			line := fmt.Sprintf("%s (%s, which ends in %s there)", r.Command, r.Scenario, r.Verdict)
			if r.Needs != "" {
				line += ", with " + r.Needs
			}
			t.row("reproduce", "%s", line)
		}
		t.now(*d.Now)
	}
	return t.Flush()
}

// sureWords say how sure it is that it is this bug.
var sureWords = map[triage.Sure]string{
	triage.Certain:  "YES, certainly",
	triage.Likely:   "LIKELY",
	triage.Possible: "POSSIBLY",
	triage.Other:    "NO, another one",
	triage.Nothing:  "NOT IN THIS LOG",
}

// finding writes what is found, and which lines say so.
func (t table) finding(f triage.Finding) {
	line := f.Where
	if f.Count > 1 {
		line += fmt.Sprintf(" (%d times)", f.Count)
	}
	t.row("finding", "%s: %s: %s", f.Sure, f.Says, line)
	most := maxShown
	if f.Count > 1 {
		most = maxOfAKind
	}
	for i, l := range f.Lines {
		if i == most {
			t.row("", "...")
			break
		}
		t.row(fmt.Sprintf("line %d", l.Number), "%s", l.Text)
	}
}
