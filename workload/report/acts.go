package report

import (
	"fmt"
	"slices"
	"strings"

	"umemstress/probes/event"
	"umemstress/workload/record"
)

// acts tells what became of the pages before and after their release, and by whom, where the
// probes saw anything of it.
func (t table) acts(c record.ProbesChannel) {
	if c.State != record.StateOK {
		return
	}
	lost := ""
	if c.LostStrips > 0 {
		lost = fmt.Sprintf("; it may be more: %d calls were missed", c.LostStrips)
	}
	if pages := c.StrippedPages; pages != nil && *pages > 0 {
		in := ""
		if c.StrippedFolios != nil && *c.StrippedFolios != *pages {
			in = fmt.Sprintf(", in %d folios", *c.StrippedFolios)
		}
		t.row("stripped", "%d pages%s, while they were pinned%s%s", *pages, in, byWhom(c.Acts, event.Stripped), lost)
	}
	if folios := c.DroppedFolios; folios != nil && *folios > 0 {
		t.row("dropped", "%d folios, by writeback%s%s", *folios, byWhom(c.Acts, event.Dropped), lost)
	}
}

// maxNamed is how many processes a line names.
const maxNamed = 3

// byWhom says which processes did most of what happened; nothing where none is known.
func byWhom(acts []record.Act, what event.Kind) string {
	var who []record.Process
	for _, a := range acts {
		if a.Event == what {
			who = append(who, a.Actor)
		}
	}
	if list := named(who); list != "" {
		return ", by " + list
	}
	return ""
}

// ownersOf are who pinned the pages.
func ownersOf(acts []record.Act) string {
	var who []record.Process
	for _, a := range acts {
		if a.Owner != nil {
			who = append(who, *a.Owner)
		}
	}
	return named(who)
}

// named lists processes as a person reads them, each once.
func named(processes []record.Process) string {
	var names []string
	for _, p := range processes {
		if name := fmt.Sprintf("%s[%d]", p.Comm, p.PID); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if more := len(names) - maxNamed; more > 0 {
		names = append(names[:maxNamed], fmt.Sprintf("%d more", more))
	}
	if last := len(names) - 1; last > 0 {
		return strings.Join(names[:last], ", ") + " and " + names[last]
	}
	return strings.Join(names, "")
}
