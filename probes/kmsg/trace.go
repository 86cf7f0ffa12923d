package kmsg

import "strings"

// Trace takes the lines that follow the head of an oops, of a panic or of a warning. Those of
// all of them are alike.
type Trace struct {
	Open  bool // it goes on
	Named bool // whose thread it is has been said
}

// Follow takes a line of the trace into account, for what is said of death.
func (t *Trace) Follow(death *Death, l Line) {
	switch {
	case !t.Open:
	case l.Kind == Task:
		t.Named = true
		death.Comm, death.PID = l.Comm, l.PID
	case l.Kind == Work:
		death.Work = l.What
	case l.Kind == TraceEnd && t.Named: // the oldest kernels list their modules before that
		t.Open = false
	case l.Kind == Place && death.Place == "":
		death.Place, death.Calls = l.Function, nil // what was before it is how a warning came to be a panic
	case l.Kind == Call && len(death.Calls) < maxCalls:
		death.Calls = append(death.Calls, l.Function)
	}
}

// A Cause is what a machine panicked of.
type Cause int

// The causes of a panic.
const (
	OfItself  Cause = iota
	OfDeath         // a thread had died, or hung, before
	OfWarning       // one was said before, which is to be the machine's death (check_panic_on_warn of kernel/panic.c)
)

// CauseOf tells the cause of a panic by its words.
func CauseOf(panicked string) Cause {
	for _, words := range []string{"Fatal exception", "hung_task", "Attempted to kill", "Aiee, killing interrupt handler"} {
		if strings.Contains(panicked, words) {
			return OfDeath
		}
	}
	if strings.Contains(panicked, "panic_on_warn") {
		return OfWarning
	}
	return OfItself
}
