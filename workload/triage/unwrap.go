package triage

import (
	"strings"

	"umemstress/probes/kmsg"
)

const (
	// maxWraps is into how many lines a message is taken to have been wrapped. Only lists of
	// modules are longer.
	maxWraps = 6
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
}

// add takes the next message, and returns the one before it, if that is complete.
func (u *unwrapper) add(e entry) (message, bool) {
	begins := e.whole || kmsg.Begins(e.text)
	if u.some && !begins && !u.pending.whole && u.joined(e) {
		return message{}, false
	}
	done, some := u.pending, u.some
	u.pending, u.some, u.wraps = message{entry: e, Line: classify(e.text)}, true, 0
	return done, some
}

// last is the one that is left.
func (u *unwrapper) last() (message, bool) {
	some := u.some
	u.some = false
	return u.pending, some
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
	return said(l) > said(before)
}

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

// telling are parts of all lines that are of any kind: others need no closer look, of which
// there are many in a long log.
var tellings = []string{
	"WARNING: ", "BUG", "+0x", "CPU: ", "Linux version ", "callbacks suppressed", "EXT4-fs", "BTRFS ", "] SMP", " [#", "Oops", "Unable to handle", "LOCKUP", "INFO: ",
	"Kernel panic", "Workqueue: ", "RIP", "TASK>", modulesHead, "---[ end", "Kernel Offset: ", "Pid: ",
}

func telling(line string) bool {
	for _, t := range tellings {
		if strings.Contains(line, t) {
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
