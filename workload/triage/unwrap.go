package triage

import (
	"strings"

	"umemstress/probes/kmsg"
)

const (
	// maxWraps is into how many lines a message is taken to have been wrapped. Only lists of
	// modules are longer.
	maxWraps = 6
	// maxHeld is how many lines wait for one with which the first tells something.
	maxHeld = 2
	// maxJoined is how long one is put together at most.
	maxJoined = 8 << 10
)

// modulesHead begins the list of modules in a trace.
const modulesHead = "Modules linked in:"

// message is one with what it is about.
type message struct {
	entry
	kmsg.Line
}

// unwrapper puts messages together again that a mailer, or a terminal's width, has wrapped. A
// line that does not begin as the kernel's do is the rest of the one before where both together
// tell more than the first alone.
type unwrapper struct {
	pending message
	some    bool // there is a pending one
	wraps   int
	held    []entry // behind one that tells nothing yet, and may with what follows
}

// add takes the next message, and returns those before it that are complete.
func (u *unwrapper) add(e entry) []message {
	if u.some && !e.whole && !u.pending.whole && !kmsg.Begins(e.text) {
		if u.joined(e) {
			u.held = nil
			return nil
		}
		if kind := classify(e.text).Kind; len(u.held) < maxHeld && u.unfinished() && !has(heads, e.text) && (kind == "" || kind == kmsg.Call) {
			u.held = append(u.held, e)
			return nil
		}
	}
	done := u.last()
	u.pending, u.some, u.wraps = message{entry: e, Line: classify(e.text)}, true, 0
	return done
}

// unfinished says whether the pending message may tell more together with several lines.
func (u *unwrapper) unfinished() bool {
	return (u.pending.Kind == "" || u.pending.Kind == kmsg.FSError || u.pending.Kind == kmsg.FSWarning) && has(heads, u.pending.text)
}

// last are those that are left.
func (u *unwrapper) last() (done []message) {
	if u.some {
		done = append(done, u.pending)
	}
	for _, e := range u.held {
		done = append(done, message{entry: e, Line: classify(e.text)})
	}
	u.some, u.held = false, nil
	return done
}

// joined puts the line behind the pending one, if it belongs there.
func (u *unwrapper) joined(e entry) bool {
	if len(u.pending.text)+len(e.text) > maxJoined {
		return false
	}
	own := classify(e.text)
	if own.Kind != "" && own.Kind != kmsg.Call {
		return false
	}
	before := strings.TrimRight(u.pending.text, " ")
	for _, h := range u.held {
		before += " " + strings.Trim(h.text, " ")
	}
	if strings.Contains(before, modulesHead) {
		if own.Kind != "" || strings.Contains(e.text, ":") {
			return false
		}
		u.pending.text = before + " " + strings.TrimSpace(e.text)
		u.pending.Line = classify(u.pending.text)
		return true
	}
	if u.wraps == maxWraps || !telling(before) {
		return false
	}
	rest := strings.TrimLeft(e.text, " ")
	for _, whole := range []string{
		before + " " + rest,
		before + rest, // within a word, at a terminal's width
	} {
		if l := classify(whole); more(u.pending.Line, l) {
			u.pending.text, u.pending.Line = whole, l
			u.wraps++
			return true
		}
	}
	return false
}

// more says whether a line put together tells more than its beginning.
func more(before, l kmsg.Line) bool {
	switch {
	case l.Kind == "":
		return false
	case before.Kind == "":
		return true
	case l.Kind != before.Kind:
		return (before.Kind == kmsg.FSWarning || before.Kind == kmsg.FSError) && (l.Kind == kmsg.Bufferless || l.Kind == kmsg.Untold)
	}
	return said(l) > said(before) || l.Kind == kmsg.Panic && why(l) != why(before)
}

// why is whether a panic says of what it comes.
func why(l kmsg.Line) bool { return kmsg.CauseOf(l.Text) != kmsg.OfItself }

// said is how many fields of a line say something.
func said(l kmsg.Line) (n int) {
	for _, field := range []string{l.Filesystem, l.Device, l.Function, l.File, l.CPU, l.Comm, l.Release, l.Version} {
		if field != "" {
			n++
		}
	}
	if l.PID != 0 {
		n++
	}
	return n
}

// tellings are parts of all lines that are of any kind: others need no closer look, of which
// there are many in a long log.
var tellings = []string{
	"WARNING: ", "BUG", "+0x", "CPU: ", "Linux version ", "callbacks suppressed", "EXT4-fs", "BTRFS ", "] SMP", " [#", "Oops", "Unable to handle", "LOCKUP", "INFO: ",
	"Kernel panic", "Workqueue: ", "RIP", "TASK>", modulesHead, "---[ end", "Kernel Offset: ", "Pid: ",
}

// heads begin messages of which lines are long enough to be broken into several.
var heads = []string{"WARNING: ", "EXT4-fs", "BTRFS ", "Kernel panic", "INFO: ", "BUG"}

func telling(line string) bool { return has(tellings, line) }

func has(words []string, line string) bool {
	for _, w := range words {
		if strings.Contains(line, w) {
			return true
		}
	}
	return false
}

func classify(line string) kmsg.Line {
	if !telling(line) {
		return kmsg.Line{}
	}
	return kmsg.Classify(line)
}
