package triage

import (
	"slices"
	"strings"

	"umemstress/probes/kmsg"
	"umemstress/workload/internal/printable"
)

// incident is what the kernel tells of in one go: a warning, a death, a task that hangs, each
// with its trace; or a message by itself.
type incident struct {
	kind    kmsg.Kind
	head    kmsg.Line  // the line that it is told by best
	death   kmsg.Death // also of a warning, of which nobody died
	lines   []Line
	release string // of the kernel
	version string
	modules string // that were loaded, where the trace says so
	boot    uint64 // how many boots had begun
	cut     bool   // the trace does not come to its end
	told    bool   // it was given to done; what is learnt later is still noted
}

// functions are the place and what led there, without what the compiler adds to names.
func (i *incident) functions() []string {
	all := make([]string, 0, len(i.death.Calls)+2)
	for _, f := range append([]string{i.head.Function, i.death.Place}, i.death.Calls...) {
		f, _, _ = strings.Cut(f, ".")
		if f != "" && (len(all) == 0 || all[len(all)-1] != f) {
			all = append(all, f)
		}
	}
	return all
}

// has says whether the trace has one of the functions.
func (i *incident) has(functions []string) bool {
	return slices.ContainsFunc(i.functions(), func(f string) bool { return slices.Contains(functions, f) })
}

func (i *incident) note(m message) {
	if len(i.lines) < maxEvidence {
		i.lines = append(i.lines, Line{Number: m.number, Text: evidence(m.text)})
	}
}

// maxText is how much is shown of a line.
const maxText = 400

// evidence is a text of the log as it is handed on: short, and nothing that a terminal obeys.
func evidence(text string) string {
	text = strings.TrimRight(strings.ReplaceAll(text, "\t", " "), " ")
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + " ..."
	}
	return printable.Text(text)
}

// gatherer makes incidents of messages. Each goes to done when its trace has ended.
type gatherer struct {
	done func(*incident)

	open    *incident // whose trace goes on
	trace   kmsg.Trace
	dead    *incident // the last that died, for the panic that follows
	warned  *incident // the last warning, of which a panic may come
	release string    // of the kernel that booted
	version string
	boots   uint64
}

// add takes the next message.
func (g *gatherer) add(m message) {
	switch m.Kind {
	case kmsg.Boot:
		g.end()
		g.boots++
		g.dead, g.warned, g.release, g.version = nil, nil, m.Release, m.Version
	case kmsg.Warning, kmsg.Bug, kmsg.Fault, kmsg.Hung:
		g.begin(m)
		if m.Kind == kmsg.Warning {
			g.warned = g.open
		}
	case kmsg.Oops:
		g.oops(m)
	case kmsg.Panic:
		g.panicked(m)
	case kmsg.Lockup, kmsg.Report, kmsg.FSError, kmsg.FSWarning, kmsg.Bufferless, kmsg.Untold, kmsg.Suppressed:
		i := g.made(m)
		g.done(i)
	default:
		g.follow(m)
	}
}

// made is an incident that begins with the message.
func (g *gatherer) made(m message) *incident {
	i := &incident{kind: m.Kind, head: m.Line, release: g.release, version: g.version, boot: g.boots}
	i.death = kmsg.Death{Kind: string(m.Kind), Said: strings.TrimSuffix(m.Text, "!"), Comm: m.Comm, PID: m.PID}
	i.note(m)
	return i
}

func (g *gatherer) begin(m message) {
	g.end()
	g.open, g.trace = g.made(m), kmsg.Trace{Open: true, Named: m.Kind == kmsg.Hung}
}

// end ends the trace.
func (g *gatherer) end() {
	if i := g.open; i != nil {
		i.cut = g.trace.Open
		if !i.told {
			i.told = true
			g.done(i)
		}
	}
	g.open = nil
}

// oops takes the header of one, which a BUG or a fault may have announced.
func (g *gatherer) oops(m message) {
	if g.open == nil || g.open.kind != kmsg.Bug && g.open.kind != kmsg.Fault {
		g.begin(m)
	} else {
		g.open.note(m)
	}
	g.open.kind, g.open.death.Kind = kmsg.Oops, string(kmsg.Oops)
	g.dead = g.open
}

// panicked takes the end of the machine: of a death before, of a warning before (panic_on_warn),
// or one by itself.
func (g *gatherer) panicked(m message) {
	switch cause := kmsg.CauseOf(m.Text); {
	case cause == kmsg.OfDeath && g.dead != nil:
		g.dead.death.Panicked = true
		g.dead.note(m)
		g.end()
	case cause == kmsg.OfWarning && g.warned != nil:
		w := g.warned
		w.kind, w.death.Kind, w.death.Panicked = kmsg.Panic, string(kmsg.Panic), true
		w.note(m)
		if g.open == nil { // its trace comes after the panic
			g.open, g.trace = w, kmsg.Trace{Open: true}
		}
		g.dead, g.warned = w, nil
	default:
		g.begin(m)
		g.open.death.Panicked = true
		g.dead = g.open
	}
}

// follow takes a line of a trace.
func (g *gatherer) follow(m message) {
	if g.open == nil || m.Kind == "" {
		return
	}
	i := g.open
	g.trace.Follow(&i.death, m.Line)
	switch m.Kind {
	case kmsg.Task:
		if m.Release != "" {
			i.release, i.version = m.Release, m.Version
		}
		i.note(m)
	case kmsg.Work, kmsg.Place:
		i.note(m)
	case kmsg.Call:
		if len(i.death.Calls) <= 4 || telltale(m.Function) {
			i.note(m)
		}
	case kmsg.TraceEnd:
		if list, ok := strings.CutPrefix(m.Text, modulesHead); ok && i.modules == "" {
			i.modules = list
		}
	}
	if !g.trace.Open {
		g.end()
	}
}
