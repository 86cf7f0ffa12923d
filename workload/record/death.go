package record

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Death is the end of a thread of the kernel, or of the machine, as the kernel told of it
// (probes/kmsg has the same).
type Death struct {
	Kind     string   `json:"kind"` // one of Died
	Said     string   `json:"said"` // the kernel's words
	Comm     string   `json:"comm,omitempty"`
	PID      uint64   `json:"pid,omitempty"`  // of the thread
	Work     string   `json:"work,omitempty"` // of a kworker
	Place    string   `json:"place,omitempty"`
	Calls    []string `json:"calls,omitempty"` // what led to the place, nearest first
	Panicked bool     `json:"panicked,omitempty"`
}

// The kinds of deaths.
const (
	DiedOops  = "oops"
	DiedPanic = "panic"
	DiedHung  = "hung" // waits, and perhaps for ever, for what a dead thread has locked
)

// Where is what the kernel said, and where it was, in a line.
func (d Death) Where() string {
	const near = 3
	functions := d.functions()
	where := d.Said
	for i, f := range functions[:min(near+1, len(functions))] {
		if i == 0 {
			where += ", in " + f
		} else {
			where += " ← " + f
		}
	}
	return where
}

// functions are the place and the calls that led there.
func (d Death) functions() []string {
	if d.Place == "" {
		return d.Calls
	}
	return append([]string{d.Place}, d.Calls...)
}

// nearby is how many functions, from the place on, tell what a thread died of. Who called
// those did no more than ask for it.
const nearby = 4

// In says whether the death was in one of the functions. A thread that hangs may do so in
// whatever they wait for.
func (d Death) In(deadly []string) bool {
	functions := d.functions()
	if d.Kind != DiedHung {
		functions = functions[:min(nearby, len(functions))]
	}
	return slices.ContainsFunc(functions, func(f string) bool {
		name, _, _ := strings.Cut(f, ".") // of what the compiler made of it, such as name.part.0
		return slices.Contains(deadly, name)
	})
}

// deaths are all that any channel tells of.
func (c Channels) deaths() []Death {
	var all []Death
	if c.Kmsg.State == StateOK {
		all = append(all, c.Kmsg.Deaths...)
		if len(c.Kmsg.Deaths) == 0 && c.Kmsg.Oopses > 0 { // evidence from before they were recorded
			all = append(all, Death{Kind: DiedOops, Said: c.Kmsg.Oops})
		}
	}
	if c.Console.State == StateOK {
		all = append(all, c.Console.Deaths...)
	}
	return all
}

// deaths leaves out what hangs elsewhere: it may only be slow.
func (w testimony) deaths() []Death {
	return slices.DeleteFunc(w.Channels.deaths(), func(d Death) bool { return d.Kind == DiedHung && !d.In(w.facts.Deadly) })
}

// death is the first that any channel tells of.
func (w testimony) death() (Death, bool) {
	if all := w.deaths(); len(all) > 0 {
		return all[0], true
	}
	return Death{}, false
}

// died says of which death, if any, the run is to blame: one in the functions that meet what
// it did, in a thread of its own, in the writeback of its file system, or in another's after
// the probes had seen pages dirtied behind the file system's back.
func (w testimony) died() (why string, ours bool) {
	if len(w.Kmsg.Deaths) == 0 && w.Kmsg.State == StateOK && w.Kmsg.OwnOopses > 0 { // as above
		return "the kernel died in a thread of this run: " + w.Kmsg.Oops, true
	}
	if d, whose := w.blamed(); whose != "" {
		return w.crash(d, whose), true
	}
	if seen := w.goneOfIt(); seen != "" {
		return fmt.Sprintf("the kernel ended a thread of this run in %s, and nobody could read why in its log; %s", w.gone, seen), true
	}
	return "", false
}

// goneOfIt is what the probes had seen of the bug before the kernel ended a thread of the run, where
// nobody could read what the kernel said of that; "" if they saw nothing, or somebody could.
func (w testimony) goneOfIt() string {
	if w.gone == "" || w.Kmsg.State == StateOK && w.Kmsg.LostRecords == 0 || len(w.Channels.deaths()) > 0 {
		return ""
	}
	return cmp.Or(w.bufferless(), w.untold())
}

// blamed is the death that is the run's, and how it is tied to it; "" if none is.
func (w testimony) blamed() (d Death, whose string) {
	for _, d := range w.deaths() {
		if !d.In(w.facts.Deadly) {
			continue
		}
		if whose := w.whose(d); whose != "" {
			return d, whose
		}
	}
	return Death{}, ""
}

// Blamed is the death of which the verdict crashed tells.
func (r *Record) Blamed() (d Death, ok bool) {
	w := testimonyOf(r)
	if len(w.Kmsg.Deaths) == 0 && w.Kmsg.State == StateOK && w.Kmsg.OwnOopses > 0 { // from before they were recorded
		return Death{Kind: DiedOops, Said: w.Kmsg.Oops}, true
	}
	if d, whose := w.blamed(); whose != "" {
		return d, true
	}
	if w.goneOfIt() != "" {
		return Death{Kind: DiedOops, Said: "the kernel ended a thread in " + w.gone, Comm: w.process.Comm}, true
	}
	return Death{}, false
}

// whose says how a death is tied to the run; "" if it is not.
func (w testimony) whose(d Death) string {
	switch {
	case d.Comm == w.process.Comm:
		return "in a thread of this run"
	case w.file.Dev != 0 && strings.Contains(d.Work, fmt.Sprintf("(flush-%d:%d)", w.file.Dev>>20, w.file.Dev&(1<<20-1))):
		return "in the writeback of this run's file"
	case w.bufferless() != "" || w.untold() != "":
		return fmt.Sprintf("in %s, on the path of what this run had done", d.Comm)
	}
	return ""
}

// crash is the sentence of a death that is the run's.
func (w testimony) crash(d Death, whose string) string {
	what := "the kernel died"
	switch {
	case d.Kind == DiedHung:
		what = "the kernel hangs"
	case d.Panicked:
		what = "the machine died"
	}
	why := fmt.Sprintf("%s %s: %s", what, whose, d.Where())
	if seen := cmp.Or(w.bufferless(), w.untold()); seen != "" {
		return why + "; " + seen
	}
	return why
}
