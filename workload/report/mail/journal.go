package mail

import (
	"cmp"
	"fmt"
	"time"

	"umemstress/workload/record"
	"umemstress/workload/remedy"
)

// Journal is what an observer has left.
type Journal struct {
	Kernel  string // its release; empty: not recorded
	Host    record.Host
	Events  []Sighting // in order
	Sums    []Sum      // exact, also where events were lost
	Last    time.Time  // of the last line
	Ended   bool       // the observer came to its end
	Cut     bool       // the last line is not whole
	Holes   int        // lines that the file system lost
	Lost    string     // what the observer could not deliver or count; empty: nothing
	Without []string   // what it could not see
	More    int        // events that were left out here
}

// Sighting is one event, as observe tells it.
type Sighting struct {
	Time        time.Time
	Event       string
	Holder      string
	Owner       Process // who pinned
	Actor       Process // who released, reclaimed or wrote back
	Device      string  // of the file: MAJOR:MINOR
	Inode       uint64
	Filesystem  string
	Path        string
	Pages       uint64
	Folios      uint64
	Bufferless  bool
	Unannounced bool
	Detached    bool
	RDMADevice  string
	Why         string
	Signal      string
	SinceBefore bool
	Stack       []string

	BufferlessPages, UnannouncedPages, DetachedPages uint64 // of released
}

// Process is one by its number and name; none has the number 0.
type Process struct {
	PID  uint32
	Comm string
}

// Sum is of the pages of one holder on one file system.
type Sum struct {
	Holder, Filesystem                                            string
	Stripped, Dirtied, Bufferless, Unannounced, Detached, Dropped uint64
}

// How bad an event is.
const (
	harmless = iota
	stripped
	unannounced
	detached
	bufferless
	dropped
)

func (e Sighting) harm() int {
	switch {
	case e.Event == "dropped":
		return dropped
	case e.Bufferless || e.BufferlessPages > 0:
		return bufferless
	case e.Detached || e.DetachedPages > 0:
		return detached
	case e.Unannounced || e.UnannouncedPages > 0:
		return unannounced
	case e.Event == "stripped":
		return stripped
	}
	return harmless
}

func (s Sum) harm() int {
	switch {
	case s.Dropped > 0:
		return dropped
	case s.Bufferless > 0:
		return bufferless
	case s.Detached > 0:
		return detached
	case s.Unannounced > 0:
		return unannounced
	case s.Stripped > 0:
		return stripped
	}
	return harmless
}

// effects are what the harm comes to, as verdicts have it.
var effects = map[int]record.Verdict{
	unannounced: record.Exposed, detached: record.Exposed, bufferless: record.Reproduced, dropped: record.DataLost,
}

// FromJournal is the report of what an observer saw, of the file that fared worst, with what the
// kernel's log says, if there is one beside it. It is a [NothingError] where nothing went wrong.
func FromJournal(j Journal, tool string, quotes []Quote) (*Report, error) {
	worst, sum := j.worst()
	harm := max(worst.harm(), sum.harm())
	if harm == harmless {
		return nil, &NothingError{"the journal holds no event of pages that were stripped, dirtied behind the file system's back or dropped, so there is nothing to report"}
	}
	holder, fs := cmp.Or(worst.Holder, sum.Holder), cmp.Or(worst.Filesystem, sum.Filesystem)
	m := &Report{Schema: Schema, Of: OfJournal, Tool: text(tool), Effect: effects[harm], Quotes: quotes}
	m.Subject = journalSubject(harm, fs, holder)
	m.address(sectionOf(fs), fs, holder)
	mine := j.of(worst)
	for _, e := range mine { // writeback does not know of it
		worst.RDMADevice = cmp.Or(worst.RDMADevice, e.RDMADevice)
	}
	t := remedy.Trouble{
		Effect: cmp.Or(m.Effect, record.Reproduced), Holder: holder, Filesystem: fs, Detached: harm == detached,
		Kernel: remedy.ParseKernel(j.Kernel, j.Host.Version),
	}
	for _, e := range mine {
		t.Large = t.Large || e.Event == "stripped" && e.Folios > 0 && e.Folios < e.Pages
	}
	m.fixes(t)
	m.Commands = known(t)
	m.Symptom = j.symptom(harm, worst, sum, mine)
	for _, e := range mine[:min(len(mine), maxDone)] {
		m.Done = append(m.Done, e.line())
	}
	m.Facts = j.facts(worst, fs)
	for _, s := range j.Sums[:min(len(j.Sums), maxDoubts)] {
		m.Seen = append(m.Seen, Fact{"eBPF", s.line()})
	}
	for _, e := range mine {
		switch e.Event {
		case "dirtied", "released":
			if len(m.Stacks) == 0 || m.Stacks[len(m.Stacks)-1].Of != ofRelease {
				m.stack(ofRelease, e.Stack)
			}
		case "stripped":
			m.stack(ofStrip, e.Stack)
		case "dropped":
			m.stack(ofDrop, e.Stack)
		}
	}
	m.Unknown = j.unknown(worst, harm, m.Stacks)
	return m, nil
}

// maxDone is how many steps, or events, are told.
const maxDone = 10

// worst is the event that is worst, and the sum that it is of, or else that is worst itself.
func (j Journal) worst() (event Sighting, sum Sum) {
	for _, e := range j.Events {
		if e.harm() > event.harm() {
			event = e
		}
	}
	of := func(s Sum) bool { return s.Holder == event.Holder && s.Filesystem == event.Filesystem }
	for _, s := range j.Sums {
		if event.harm() == harmless && s.harm() > sum.harm() || event.harm() > harmless && of(s) {
			sum = s
		}
	}
	return event, sum
}

// of are the events of the file of one.
func (j Journal) of(event Sighting) (all []Sighting) {
	if event.Event == "" {
		return nil
	}
	for _, e := range j.Events {
		if e.sameFile(event) {
			all = append(all, e)
		}
	}
	return all
}

// sameFile says whether both are of one file. Detached pages are of that of their region.
func (e Sighting) sameFile(other Sighting) bool {
	return e.Path == other.Path && (e.Path != "" || e.Device == other.Device && e.Inode == other.Inode)
}

func journalSubject(harm int, fs, holder string) string {
	brings := actorOf(holder).brings
	line := "[BUG] " + prefix(fs) + ": "
	switch harm {
	case dropped:
		return line + "writeback drops pages that " + brings + " dirtied through a pin"
	case bufferless:
		return line + brings + " into mmap leaves dirty pages without buffers"
	case detached:
		return line + brings + " into mmap dirties pages that have left their file"
	case unannounced:
		return line + brings + " into mmap dirties pages behind the file system's back"
	}
	return line + "buffers of pages are freed while they are pinned (" + brings + ")"
}

// symptom says what happened, and how the journal ends.
func (j Journal) symptom(harm int, worst Sighting, sum Sum, mine []Sighting) []string {
	on := ""
	if j.Kernel != "" {
		on = "On " + text(j.Kernel) + ": "
	}
	pages := func(n uint64) string { return count(max(n, 1), "page") }
	what := map[int]string{
		dropped:     count(max(sum.Dropped, 1), "folio") + " of %s found dirty and without buffers by writeback, which threw that away and wrote nothing.",
		bufferless:  pages(sum.Bufferless) + " of %s marked dirty at their release with no buffers attached. No drop of them is in the journal.",
		detached:    pages(sum.Detached) + " of %s marked dirty at their release after they had been taken from their file: what was written to them is nowhere.",
		unannounced: pages(sum.Unannounced) + " of %s marked dirty at their release though they were clean, so that the file system had not been told of a write.",
		stripped:    pages(sum.Stripped) + " of %s stripped of their buffers while they were pinned. No release of them is in the journal.",
	}[harm]
	file := fmt.Sprintf("files on %s, pinned by %s,", text(cmp.Or(sum.Filesystem, worst.Filesystem, "a file system")), whose(worst))
	verb := " were"
	all := []string{on + fmt.Sprintf(what, file+verb)}
	if !j.Ended {
		line := "The journal has no end: the machine died, or the observer was killed"
		if !j.Last.IsZero() {
			line += ", after " + j.Last.UTC().Format("15:04:05.000 MST")
		}
		all = append(all, line+". It does not tell which.")
	}
	return all
}

// whose says who pinned.
func whose(e Sighting) string {
	who := "somebody"
	if e.Owner.PID != 0 {
		who = e.Owner.text()
	}
	holder := actorOf(e.Holder).brings
	if e.RDMADevice != "" {
		holder += " on " + text(e.RDMADevice)
	}
	if e.Holder == "" {
		return who
	}
	return who + " (" + holder + ")"
}

func (p Process) text() string { return fmt.Sprintf("%s[%d]", text(p.Comm), p.PID) }

// line tells one event.
func (e Sighting) line() string {
	line := e.Time.UTC().Format("15:04:05.000") + " " + text(e.Event)
	if e.Pages > 0 {
		line += ": " + count(e.Pages, "page")
		if e.Folios > 0 && e.Folios != e.Pages {
			line += " in " + count(e.Folios, "folio")
		}
	}
	add := func(when bool, format string, args ...any) {
		if when {
			line += ", " + sayf(format, args...)
		}
	}
	add(e.Bufferless, "without buffers")
	add(e.Unannounced, "not announced")
	add(e.Detached, "detached from their file")
	add(e.BufferlessPages > 0, "%d without buffers", e.BufferlessPages)
	add(e.UnannouncedPages > 0, "%d not announced", e.UnannouncedPages)
	add(e.DetachedPages > 0, "%d detached", e.DetachedPages)
	add(e.Why != "", "by %s", e.Why)
	add(e.Signal != "", "%s", e.Signal)
	add(e.SinceBefore, "pinned before observe began")
	if e.Actor.PID != 0 || e.Actor.Comm != "" {
		line += "; in " + e.Actor.text()
	}
	return line
}

// line tells a sum.
func (s Sum) line() string {
	return sayf("%s on %s: %s stripped while pinned, %s dirtied by releases; of these %d without buffers, %d not announced, %d detached; %s dropped by writeback",
		cmp.Or(s.Holder, "an unknown holder"), cmp.Or(s.Filesystem, "a file that let go"),
		count(s.Stripped, "page"), count(s.Dirtied, "page"), s.Bufferless, s.Unannounced, s.Detached, count(s.Dropped, "folio"))
}

func (j Journal) facts(worst Sighting, fs string) []Fact {
	var all []Fact
	if j.Kernel != "" {
		h := j.Host
		all = append(all, Fact{"kernel", sayf("%s, %s", j.Kernel, h.Version)},
			Fact{"machine", sayf("%s, %s, %d MiB of memory, pages of %d bytes", h.Machine, count(h.CPUs, "CPU"), h.MemoryBytes>>20, h.PageSize)})
	}
	line := text(fs)
	if worst.Device != "" {
		line += " on device " + text(worst.Device)
	}
	all = append(all, Fact{"file system", line}, Fact{"program", whose(worst)})
	if !worst.Time.IsZero() {
		all = append(all, Fact{"date", worst.Time.UTC().Format("2006-01-02 15:04 MST")})
	}
	return all
}

func (j Journal) unknown(worst Sighting, harm int, stacks []Stack) (all []string) {
	add := func(when bool, format string, args ...any) {
		if when {
			all = append(all, sayf(format, args...))
		}
	}
	add(j.Kernel == "", "The kernel is not known: the journal does not tell it.")
	all = append(all, unrecorded(j.Host.Version))
	add(true, "An observer looks at no file: what is on the disk, and what msync and fsync returned, is not known.")
	add(harm > stripped, "Of each kind of event and file the journal has the first; the sums are of all.")
	add(j.Cut || j.Holes > 0, "The last line of the journal is cut off: %v; lines that its file system lost: %d.", j.Cut, j.Holes)
	add(j.Lost != "", "What the observer could not deliver or count: %s.", j.Lost)
	add(len(j.Sums) == 0, "The sums were not saved: how many pages there were is not known.")
	add(returnProbe(stacks), endsAtProbe)
	for _, w := range j.Without[:min(len(j.Without), maxDoubts)] {
		add(true, "Not seen: %s.", w)
	}
	others := map[string]bool{}
	for _, e := range j.Events {
		if e.harm() > harmless && !e.sameFile(worst) {
			others[fmt.Sprint(e.Path, e.Device, e.Inode)] = true
		}
	}
	add(len(others) > 0, "The journal tells of %s more, which are left out here.", count(len(others), "file"))
	add(j.More > 0, "%d more events of the journal were not looked at.", j.More)
	return all
}
