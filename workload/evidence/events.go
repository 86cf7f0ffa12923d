package evidence

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"os"

	"umemstress/probes/event"
	"umemstress/workload/internal/printable"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// stackLine is a line of events.jsonl that is no event: it names the functions of a kernel
// stack, innermost first, to which events refer by its number.
type stackLine struct {
	Stack  int32    `json:"stack"`
	Frames []string `json:"frames"`
}

// stackPrefix begins such a line. An event has its own stack, a list, elsewhere.
var stackPrefix = []byte(`{"stack":`)

// maxStacks is how many stacks are read back: the probes tell no more of them apart (the
// map stacks in probes/bpf/dirty.bpf.c).
const maxStacks = 256

// told is what the events of a run amount to, however many they are.
type told struct {
	whole   bool   // the last line is
	events  uint64 // lines of events
	holes   uint64 // lines that a file system lost when the machine died
	strange uint64 // events that cannot have been
	first   string // of these, and why
	stacks  map[int32][]string

	// What those of the run's own file tell of.
	dirtied, bufferless, unannounced, stripped uint64
}

// readEvents adds up the events in dir.
func readEvents(ctx context.Context, dir string, of record.File) (*told, error) {
	t := &told{stacks: map[int32][]string{}}
	file := event.Inode{Device: of.Dev, Number: of.Inode}
	var err error
	t.whole, err = readLines(ctx, dir, eventsFile, func(number int, line []byte) error {
		if bytes.IndexByte(line, 0) >= 0 {
			t.holes++ // JSON has no such byte: blocks that were given to the file and not written
			return nil
		}
		if bytes.HasPrefix(line, stackPrefix) {
			return t.addStack(line)
		}
		var ev event.Event
		if err := json.Unmarshal(line, &ev); err != nil {
			return damaged(err)
		}
		t.add(number, ev, file)
		return nil
	})
	return t, err
}

func (t *told) addStack(line []byte) error {
	var s stackLine
	if err := json.Unmarshal(line, &s); err != nil {
		return damaged(err)
	}
	if _, known := t.stacks[s.Stack]; !known && len(t.stacks) < maxStacks {
		t.stacks[s.Stack] = s.Frames
	}
	return nil
}

func (t *told) add(number int, ev event.Event, file event.Inode) {
	t.events++
	if why := impossible(ev); why != "" {
		if t.strange++; t.first == "" {
			t.first = fmt.Sprintf("line %d: %s", number, why)
		}
		return
	}
	if ev.Inode != file || ev.Detached {
		return // whose pages detached ones were is not known
	}
	switch ev.Kind {
	case event.Stripped:
		t.stripped = sum(t.stripped, ev.Pages)
		return
	case "", event.Dirtied:
	default:
		return
	}
	t.dirtied = sum(t.dirtied, ev.Pages)
	if ev.Bufferless {
		t.bufferless = sum(t.bufferless, ev.Pages)
	}
	if ev.Unannounced {
		t.unannounced = sum(t.unannounced, ev.Pages)
	}
}

// sum stops at the largest number.
func sum(a, b uint64) uint64 {
	n, carry := bits.Add64(a, b, 0)
	if carry != 0 {
		return math.MaxUint64
	}
	return n
}

// impossible says why an event is none that the probes write (event.Decode).
func impossible(ev event.Event) string {
	runs := true // of pages: others may have none
	switch ev.Kind {
	case event.Pinned, event.Refused, event.Released:
		runs = false
	}
	switch {
	case runs && ev.Pages == 0 || ev.Index > math.MaxUint64-ev.Pages:
		return fmt.Sprintf("a run of %d pages at index %d", ev.Pages, ev.Index)
	case ev.Folios > ev.Pages: // none in evidence from before they were counted
		return fmt.Sprintf("a run of %d pages in %d folios", ev.Pages, ev.Folios)
	case !knownHolder(ev):
		return fmt.Sprintf("the holder %q, which this version does not know", ev.Holder)
	case ev.Detached && (ev.Bufferless || ev.Unannounced || ev.Inode != event.Inode{}):
		return "detached pages that are still a file's"
	}
	return ""
}

// knownHolder says whether there is such a holder. Whose pages are stripped or dropped need not
// be known.
func knownHolder(ev event.Event) bool {
	switch ev.Holder {
	case event.HolderUmem, event.HolderDIO, event.HolderVMWritev, event.HolderVMCI, event.HolderNFS, event.HolderFUSE, event.HolderV4L2, event.HolderXDP, event.Holder9P:
		return true
	case "":
		return ev.Kind == event.Stripped || ev.Kind == event.Dropped
	}
	return false
}

// compareEvents says where the events in dir and the record differ: the record counts what
// the kernel counted, and the events are what was streamed of it.
func compareEvents(ctx context.Context, dir string, r *record.Record) (differences []string, stacks map[int32][]string, err error) {
	add := func(when bool, format string, args ...any) {
		if when {
			differences = append(differences, fmt.Sprintf(format, args...))
		}
	}
	p := r.Channels.Probes
	t, err := readEvents(ctx, dir, r.File)
	if errors.Is(err, os.ErrNotExist) {
		add(true, "%s is missing, and the record counted %d events", eventsFile, p.Events)
		return differences, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	add(!t.whole, "the last line of %s was cut off", eventsFile)
	add(t.holes > 0, "%d lines of %s were lost by their file system", t.holes, eventsFile)
	add(t.strange > 0, "%d events of %s cannot have been, the first in %s", t.strange, eventsFile, t.first)
	add(p.State == record.StateAbsent && t.events > 0, "%s holds %d events, and the probes were absent", eventsFile, t.events)
	add(t.events < p.Events, "%s holds %d events, and the record counted %d", eventsFile, t.events, p.Events)
	// What was released later than the record was saved is among the events alone, and runs
	// that were not counted may be, too.
	if p.State != record.StateOK || !r.Done(scenario.PhaseRelease) || p.LostCounts > 0 {
		return differences, t.stacks, nil
	}
	complete := p.LostEvents == 0 && t.events >= p.Events && t.strange == 0 && t.holes == 0
	for _, c := range []struct {
		what           string
		told, recorded uint64
	}{
		{"dirtied", t.dirtied, p.DirtiedPages}, {"buffer-less", t.bufferless, p.BufferlessPages}, {"unannounced", t.unannounced, p.UnannouncedPages},
	} {
		add(c.told > c.recorded || complete && c.told < c.recorded,
			"the events tell of %d pages of the file %s, and the record counted %d", c.told, c.what, c.recorded)
	}
	if p.StrippedPages != nil { // not each of these is told
		add(t.stripped > *p.StrippedPages, "the events tell of %d pages of the file stripped, and the record counted %d", t.stripped, *p.StrippedPages)
	}
	return differences, t.stacks, nil
}

func damaged(err error) error {
	return fmt.Errorf("%s; the file was changed after the run", printable.Text(err.Error()))
}
