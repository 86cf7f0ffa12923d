package observe

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"umemstress/probes/event"
)

// A row has the sums of one process and file, and those where something happened last are the
// first.
func TestTable(t *testing.T) {
	var table Table
	at := time.Date(2026, 11, 28, 9, 30, 0, 0, time.UTC)
	for i, kind := range []event.Kind{event.Pinned, event.Stripped, event.Stripped, event.Dirtied, event.Dropped, event.Released} {
		l := line(sample(kind), at.Add(time.Duration(i)*time.Second))
		l.Path = "/data/f"
		table.Add(l)
	}
	other := line(sample(event.Refused), at.Add(time.Minute))
	table.Add(other)
	table.Add(Line{Event: Started})
	want := []string{
		"PROCESS                  HOLDER      PINNED  STRIPPED    UNTOLD  BUFFLESS  DETACHED   DROPPED  LAST         FILE",
		"ib_write_bw[40]          rdma             -         -         -         -         -         -  refused      memory",
		"ib_write_bw[40]          rdma            32        64        32        32         -        32  released     /data/f (ext4)",
	}
	if got := table.Lines(200, 50); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// It fits the terminal, and does not grow.
func TestTableFits(t *testing.T) {
	var table Table
	for i := range 3 * maxRows {
		l := line(sample(event.Pinned), time.Unix(int64(i), 0))
		l.Path = fmt.Sprintf("/data/%d", i)
		table.Add(l)
	}
	if len(table.rows) != maxRows {
		t.Errorf("%d rows", len(table.rows))
	}
	for _, size := range [][2]int{{80, 24}, {20, 3}, {1, 1}, {200, 2}, {200, 10000}} {
		lines := table.Lines(size[0], size[1])
		if len(lines) > size[1] {
			t.Errorf("%d lines for %d", len(lines), size[1])
		}
		for _, l := range lines {
			if utf8.RuneCountInString(l) > size[0] {
				t.Errorf("%q is longer than %d columns", l, size[0])
			}
		}
	}
	if last := table.Lines(80, 24)[23]; last != fmt.Sprintf("and %d more", maxRows-22) {
		t.Errorf("%q", last)
	}
	if newest := table.Lines(200, 24)[1]; !strings.Contains(newest, fmt.Sprintf("/data/%d ", 3*maxRows-1)) {
		t.Errorf("%q", newest)
	}
}
