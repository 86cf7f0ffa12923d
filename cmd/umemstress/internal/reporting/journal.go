package reporting

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/sirupsen/logrus"

	"umemstress/probes/journal"
	"umemstress/probes/observe"
	"umemstress/workload/record"
	"umemstress/workload/report/mail"
)

const (
	// maxEvents is how many events of a journal are looked at.
	maxEvents = 10000
	// maxFrames is how many functions are kept of the stack of each.
	maxFrames = 41
)

// ofJournal is the report of what an observer saw.
func (f *flags) ofJournal(ctx context.Context, dir string) (*mail.Report, error) {
	var j mail.Journal
	r, err := journal.Read(dir, func(l observe.Line) error {
		take(&j, l)
		return ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	j.Ended, j.Cut, j.Holes = r.Ended, r.Cut, r.Holes
	quotes, err := quotes(ctx, dir, "")
	if err != nil {
		return nil, err
	}
	m, err := mail.FromJournal(j, f.version, quotes)
	return m, of(dir, err)
}

// take takes a line of the journal into account.
func take(j *mail.Journal, l observe.Line) {
	j.Last = l.Time
	switch l.Event {
	case observe.Started:
		started(j, l)
	case observe.Ended, observe.Lost:
		j.Sums, j.Lost = nil, lost(l.Summary.Lost)
		for _, s := range l.Summary.Sums {
			j.Sums = append(j.Sums, mail.Sum{
				Holder: s.Holder, Filesystem: s.Filesystem, Stripped: s.Stripped, Dirtied: s.Dirtied,
				Bufferless: s.Bufferless, Unannounced: s.Unannounced, Detached: s.Detached, Dropped: s.Dropped,
			})
		}
	default:
		if len(j.Events) == maxEvents {
			j.More++
			return
		}
		j.Events = append(j.Events, sighting(l))
	}
}

func started(j *mail.Journal, l observe.Line) {
	if h := l.Host; h != nil {
		j.Kernel = h.Kernel
		j.Host = record.Host{Version: h.Version, Machine: h.Machine, CPUs: h.CPUs, MemoryBytes: h.MemoryBytes, PageSize: h.PageSize}
	}
	for _, hook := range l.Hooks {
		if hook.Without != "" {
			j.Without = append(j.Without, hook.Without)
		}
	}
}

func sighting(l observe.Line) mail.Sighting {
	s := mail.Sighting{
		Time: l.Time, Event: l.Event, Holder: l.Holder, Device: l.Device, Inode: l.Inode, Filesystem: l.Filesystem, Path: l.Path,
		Pages: l.Pages, Folios: l.Folios, Bufferless: l.Bufferless, Unannounced: l.Unannounced, Detached: l.Detached,
		RDMADevice: l.RDMADevice, Why: l.Why, Signal: l.Signal, SinceBefore: l.SinceBefore,
		BufferlessPages: l.BufferlessPages, UnannouncedPages: l.UnannouncedPages, DetachedPages: l.DetachedPages,
		Stack: l.Stack[:min(len(l.Stack), maxFrames)],
	}
	if l.Owner != nil {
		s.Owner = mail.Process{PID: l.Owner.PID, Comm: l.Owner.Comm}
	}
	if l.Actor != nil {
		s.Actor = mail.Process{PID: l.Actor.PID, Comm: l.Actor.Comm}
	}
	return s
}

// lost says what an observer could not deliver or count; "" if nothing.
func lost(l observe.Losses) string {
	var parts []string
	for _, p := range []struct {
		n    uint64
		what string
	}{
		{l.Events, "events"}, {l.Pages, "pages in its counts"}, {l.Releases, "releases"},
		{l.Stacks, "stacks"}, {l.Pins, "pins"}, {l.Strips, "strips or drops, perhaps"},
		{l.Output, "events of its output"},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	return strings.Join(parts, ", ")
}

// quiet takes what is told while evidence is judged: what does not agree stands in the mail.
func quiet() logrus.FieldLogger {
	l := logrus.New()
	l.SetOutput(io.Discard)
	return l
}
