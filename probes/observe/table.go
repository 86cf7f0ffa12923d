package observe

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// maxRows is how many processes and files a table remembers; those that nothing happened to for
// longest are forgotten first.
const maxRows = 512

// A Table has a row for each process and file: what happened to its pages so far.
type Table struct {
	rows map[rowKey]*row
}

type rowKey struct{ owner, file string }

type row struct {
	rowKey
	holder                                                    string
	pinned, stripped, unannounced, bufferless, detached, lost uint64
	last                                                      time.Time
	what                                                      string // happened last
}

// Add takes a line into the table.
func (t *Table) Add(l Line) {
	if !l.IsEvent() {
		return
	}
	owner, file, _ := strings.Cut(l.whose(), ", ")
	key := rowKey{owner, file}
	r := t.rows[key]
	if r == nil {
		if t.rows == nil {
			t.rows = map[rowKey]*row{}
		}
		if len(t.rows) >= maxRows {
			delete(t.rows, t.sorted()[len(t.rows)-1].rowKey)
		}
		r = &row{rowKey: key}
		t.rows[key] = r
	}
	r.last, r.what = l.Time, l.Event
	if l.Holder != "" {
		r.holder = l.Holder
	}
	switch l.Event {
	case "pinned":
		r.pinned += l.Pages
	case "stripped":
		r.stripped += l.Pages
	case "dropped":
		r.lost += l.Pages
	case "dirtied":
		if l.Bufferless {
			r.bufferless += l.Pages
		}
		if l.Unannounced {
			r.unannounced += l.Pages
		}
		if l.Detached {
			r.detached += l.Pages
		}
	}
}

// sorted are the rows, those where something happened last first.
func (t *Table) sorted() []*row {
	var list []*row
	for _, r := range t.rows {
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b *row) int {
		return cmp.Or(b.last.Compare(a.last), cmp.Compare(a.owner, b.owner), cmp.Compare(a.file, b.file))
	})
	return list
}

// Lines are the table in lines of at most so many columns, and no more lines than that. The
// numbers are of pages.
func (t *Table) Lines(columns, lines int) []string {
	const form = "%-24s %-8s %9s %9s %9s %9s %9s %9s  %-12s %s"
	out := []string{cut(fmt.Sprintf(form, "PROCESS", "HOLDER", "PINNED", "STRIPPED", "UNTOLD", "BUFFLESS", "DETACHED", "DROPPED", "LAST", "FILE"), columns)}
	sorted := t.sorted()
	for i, r := range sorted {
		if len(out) >= lines-1 && i < len(sorted)-1 && lines > 1 {
			out = append(out, cut(fmt.Sprintf("and %d more", len(sorted)-i), columns))
			break
		}
		out = append(out, cut(fmt.Sprintf(form, cut(r.owner, 24), r.holder, number(r.pinned), number(r.stripped), number(r.unannounced),
			number(r.bufferless), number(r.detached), number(r.lost), r.what, r.file), columns))
	}
	return out[:min(len(out), max(lines, 1))]
}

func number(n uint64) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

// cut shortens text to so many columns.
func cut(text string, columns int) string {
	if utf8.RuneCountInString(text) <= columns {
		return text
	}
	return string([]rune(text)[:max(columns-1, 0)]) + "…"
}
