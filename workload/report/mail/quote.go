package mail

import (
	"regexp"
	"slices"
	"strings"

	"umemstress/probes/kmsg"
)

// Quote is what the kernel's log says, word for word, but for registers that tell nothing.
type Quote struct {
	File  string   `json:"file"`
	Of    string   `json:"of"` // warning, death or messages
	Lines []string `json:"lines"`
	Cut   bool     `json:"cut,omitempty"` // there is more of it

	whole bool // it came to its end
}

// What quotes are of.
const (
	quotedDeath    = "death"
	quotedWarning  = "warning"
	quotedMessages = "messages"
)

const (
	maxTrace    = 200 // lines of one that are looked at
	maxQuoted   = 64  // and quoted
	maxMessages = 3   // of file systems, of which each is like the others
)

// Quoter finds in the kernel's logs what a report quotes: the first warning of a file system, the
// death that it is about, and the first messages of pages that a file system throws away.
type Quoter struct {
	Said string // of the death, as a record has it; empty: whichever comes first

	file   string
	open   *Quote // a trace that goes on
	dies   bool   // it is of a death
	ours   bool   // it is the one that is looked for
	user   bool   // in its lines on user mode
	quotes []Quote
}

// Begin begins another log. What is open in the one before is over.
func (q *Quoter) Begin(file string) {
	q.close(false)
	q.file = text(file)
}

// Add takes the next line of the log.
func (q *Quoter) Add(line string) {
	l := kmsg.Classify(line)
	switch l.Kind {
	case kmsg.Warning:
		q.begin(l.OfFilesystem(), false, l.Text)
	case kmsg.Bug, kmsg.Fault, kmsg.Hung:
		q.begin(l.Kind != kmsg.Hung || q.Said != "", true, l.Text)
	case kmsg.Oops:
		if q.open == nil || !q.dies {
			q.begin(true, true, l.Text)
		}
	case kmsg.Panic:
		if q.open == nil {
			q.begin(kmsg.CauseOf(l.Text) != kmsg.OfDeath, true, l.Text)
		}
		q.dies = true // also of a warning (panic_on_warn), whose trace is yet to come
	case kmsg.Bufferless, kmsg.Untold:
		q.close(false)
		q.message(line)
		return
	}
	if q.open == nil {
		return
	}
	if !q.register(l, line) {
		q.add(line)
	}
	if strings.HasPrefix(l.Text, "---[ end ") {
		q.close(true)
	}
}

// Quotes are what was found: the death, the warning, the messages.
func (q *Quoter) Quotes() []Quote {
	q.close(false)
	order := []string{quotedDeath, quotedWarning, quotedMessages}
	slices.SortStableFunc(q.quotes, func(a, b Quote) int { return slices.Index(order, a.Of) - slices.Index(order, b.Of) })
	return q.quotes
}

// begin begins a trace, and ends the one before.
func (q *Quoter) begin(wanted, dies bool, said string) {
	q.close(false)
	if !wanted {
		return
	}
	said = strings.TrimSuffix(said, "!")
	q.open, q.dies, q.user = &Quote{File: q.file}, dies, false
	q.ours = q.Said == "" || strings.HasPrefix(q.Said, said) || strings.HasPrefix(said, q.Said)
}

// close keeps the trace, unless there is one of its sort that is as whole.
func (q *Quoter) close(whole bool) {
	o := q.open
	q.open = nil
	if o == nil || q.dies && !q.ours {
		return
	}
	o.Of, o.whole = quotedWarning, whole
	o.sure()
	if len(o.Lines) > maxQuoted {
		o.Lines, o.Cut = o.Lines[:maxQuoted], true
	}
	if q.dies {
		o.Of = quotedDeath
	}
	at := slices.IndexFunc(q.quotes, func(other Quote) bool { return other.Of == o.Of })
	switch {
	case at < 0:
		q.quotes = append(q.quotes, *o)
	case whole && !q.quotes[at].whole:
		q.quotes[at] = *o
	}
}

// maybe is a function that the kernel found on the stack and could not place.
const maybe = " ? "

// sure leaves out of a trace that reaches the system call what the kernel is not sure of. Where
// a return probe has the trace end early, the rest of it is told in no other way.
func (o *Quote) sure() {
	reaches := slices.ContainsFunc(o.Lines, func(line string) bool {
		return !strings.Contains(line, maybe) && (strings.Contains(line, " entry_SYSCALL_64") || strings.Contains(line, " ret_from_fork"))
	})
	if reaches {
		o.Lines = slices.DeleteFunc(o.Lines, func(line string) bool { return strings.Contains(line, maybe) })
	}
}

func (q *Quoter) add(line string) {
	if len(q.open.Lines) == maxTrace {
		q.open.Cut = true
		return
	}
	q.open.Lines = append(q.open.Lines, quoted(line))
}

// message keeps one of a page that a file system throws away.
func (q *Quoter) message(line string) {
	at := slices.IndexFunc(q.quotes, func(other Quote) bool { return other.Of == quotedMessages })
	if at < 0 {
		at = len(q.quotes)
		q.quotes = append(q.quotes, Quote{File: q.file, Of: quotedMessages})
	}
	switch m := &q.quotes[at]; {
	case m.File != q.file: // another log of the same
	case len(m.Lines) == maxMessages:
		m.Cut = true
	default:
		m.Lines = append(m.Lines, quoted(line))
	}
}

// registers are the lines of a trace that tell what they held, and the code there.
var registers = regexp.MustCompile(`^(?:R[A-Z0-9]{2}: [0-9a-f]{16} |RSP: |(?:FS|CS|CR2|DR[0-9]): |Code: )`)

// register says whether a line is one of registers that tell nothing: all of a warning's, and of a
// death those of the program that called the kernel.
func (q *Quoter) register(l kmsg.Line, line string) bool {
	if strings.HasPrefix(l.Text, "RIP: 0033:") {
		q.user = true
	}
	if q.user && (strings.Contains(line, "</TASK>") || strings.HasPrefix(l.Text, "Modules linked in:") || strings.HasPrefix(l.Text, "---[ end ")) {
		q.user = false
	}
	return q.user || !q.dies && registers.MatchString(l.Text)
}

// quoted is a line as it is shown.
func quoted(line string) string {
	return text(strings.TrimRight(line, "\r\n \t"))
}
