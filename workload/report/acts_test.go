package report

import (
	"strings"
	"testing"

	"umemstress/probes/event"
	"umemstress/workload/record"
)

func pages(n uint64) *uint64 { return &n }

// A person reads what became of the pages, and by whom, where anything did.
func TestActs(t *testing.T) {
	run, flusher := record.Process{PID: 81, Comm: "umemstress"}, record.Process{PID: 7, Comm: "kworker/u2:2"}
	act := func(what event.Kind, by record.Process) record.Act {
		return record.Act{Event: what, Actor: by, Owner: &run}
	}
	for name, c := range map[string]struct {
		probes record.ProbesChannel
		want   []string // lines that begin so; of "!" none does
	}{
		"all of it": {
			record.ProbesChannel{
				State: record.StateOK, StrippedPages: pages(8), StrippedFolios: pages(8), DroppedFolios: pages(8),
				Acts: []record.Act{act(event.Dirtied, run), act(event.Dropped, flusher), act(event.Dropped, run), act(event.Stripped, run)},
			},
			[]string{
				"probes       0 buffer-less pages, 0 unannounced, of 0 dirtied by the release; pinned by umemstress[81]\n",
				"stripped     8 pages, while they were pinned, by umemstress[81]\n",
				"dropped      8 folios, by writeback, by kworker/u2:2[7] and umemstress[81]\n",
			},
		},
		"a large folio, by nobody known": {
			record.ProbesChannel{State: record.StateOK, StrippedPages: pages(512), StrippedFolios: pages(1), DroppedFolios: pages(0), LostStrips: 2},
			[]string{"stripped  512 pages, in 1 folios, while they were pinned; it may be more: 2 calls were missed\n", "!dropped"},
		},
		"nothing":     {record.ProbesChannel{State: record.StateOK, StrippedPages: pages(0), StrippedFolios: pages(0), DroppedFolios: pages(0)}, []string{"!stripped", "!dropped"}},
		"older":       {record.ProbesChannel{State: record.StateOK}, []string{"!stripped", "!dropped"}},
		"broken":      {record.ProbesChannel{State: record.StateFailed, StrippedPages: pages(8), DroppedFolios: pages(8)}, []string{"!stripped", "!dropped"}},
		"not watched": {record.ProbesChannel{State: record.StateOK, Why: "no page is seen to be stripped"}, []string{"probes  0 buffer-less pages, 0 unannounced, of 0 dirtied by the release; no page is seen to be stripped\n"}},
	} {
		var b strings.Builder
		r := &record.Record{Channels: record.Channels{Probes: c.probes}}
		if err := Text(&b, r, "dir"); err != nil {
			t.Fatal(err)
		}
		text := strings.Join(strings.Fields(strings.ReplaceAll(b.String(), "\n", " NL ")), " ")
		for _, want := range c.want {
			if absent, no := strings.CutPrefix(want, "!"); no {
				if strings.Contains(text, "NL "+absent) {
					t.Errorf("%s: %q in\n%s", name, absent, b.String())
				}
				continue
			}
			line := strings.Join(strings.Fields(strings.ReplaceAll(want, "\n", " NL ")), " ")
			if !strings.Contains(text, "NL "+line) {
				t.Errorf("%s: no %q in\n%s", name, want, b.String())
			}
		}
	}
}

// Of many processes a line names the first.
func TestNamed(t *testing.T) {
	var many []record.Process
	for pid := range 9 {
		many = append(many, record.Process{PID: pid, Comm: "k"}, record.Process{PID: pid, Comm: "k"})
	}
	for n, want := range map[int]string{0: "", 2: "k[0]", 4: "k[0] and k[1]", 6: "k[0], k[1] and k[2]", 18: "k[0], k[1], k[2] and 6 more"} {
		if got := named(many[:n]); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}
