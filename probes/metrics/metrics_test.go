package metrics

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"umemstress/probes/event"
	"umemstress/probes/observe"
)

// exporter has the sums of an observation that saw a loss.
func exporter() *Exporter {
	e := New([]observe.Hook{
		{Purpose: "pin of a V4L2 buffer", Awaits: "videobuf2_memops"},
		{Purpose: "page dirtied", Symbol: "set_page_dirty", Method: "fentry"},
		{Purpose: "buffers freed", Without: "no page is seen to be stripped"},
	})
	e.Set(observe.Summary{
		Events: 7, Pinned: 2, Refused: 1, Released: 2, Lost: observe.Losses{Lost: event.Lost{Events: 3, Strips: 1}, Output: 2},
		Sums: []observe.Sum{
			{Holder: "rdma", Filesystem: "ext4", Stripped: 512, Dirtied: 512, Bufferless: 512, Unannounced: 500, Detached: 12, Dropped: 512},
			{Filesystem: "ext4", Dropped: 1},
		},
	})
	e.SetCosts([]event.Cost{{Purpose: "page dirtied", Symbol: "set_page_dirty", Method: "fentry", Missed: 4, Runs: 1000, Time: 250 * time.Microsecond}})
	return e
}

const hookAndLoss = `# HELP umemstress_dropped_folios_total Folios whose bytes writeback threw away: data that is lost.
# TYPE umemstress_dropped_folios_total counter
umemstress_dropped_folios_total{filesystem="ext4",holder=""} 1
umemstress_dropped_folios_total{filesystem="ext4",holder="rdma"} 512
# HELP umemstress_hook_attached Whether a place in the kernel is watched.
# TYPE umemstress_hook_attached gauge
umemstress_hook_attached{method="",purpose="buffers freed",symbol=""} 0
umemstress_hook_attached{method="fentry",purpose="page dirtied",symbol="set_page_dirty"} 1
# HELP umemstress_hook_missed_total Calls of a watched function for which the kernel ran no program, as far as it counts them.
# TYPE umemstress_hook_missed_total counter
umemstress_hook_missed_total{method="fentry",purpose="page dirtied",symbol="set_page_dirty"} 4
# HELP umemstress_hook_runs_total Runs of a hook's programs, while the kernel measures programs.
# TYPE umemstress_hook_runs_total counter
umemstress_hook_runs_total{method="fentry",purpose="page dirtied",symbol="set_page_dirty"} 1000
# HELP umemstress_hook_seconds_total What a hook's programs took, while the kernel measures programs.
# TYPE umemstress_hook_seconds_total counter
umemstress_hook_seconds_total{method="fentry",purpose="page dirtied",symbol="set_page_dirty"} 0.00025
# HELP umemstress_lost_total What could not be delivered or counted.
# TYPE umemstress_lost_total counter
umemstress_lost_total{stage="events"} 3
umemstress_lost_total{stage="output"} 2
umemstress_lost_total{stage="pages"} 0
umemstress_lost_total{stage="pins"} 0
umemstress_lost_total{stage="releases"} 0
umemstress_lost_total{stage="stacks"} 0
umemstress_lost_total{stage="strips"} 1
`

func TestCollect(t *testing.T) {
	e := exporter()
	if err := testutil.CollectAndCompare(e, strings.NewReader(hookAndLoss), "umemstress_dropped_folios_total", "umemstress_hook_attached", "umemstress_hook_missed_total", "umemstress_hook_runs_total", "umemstress_hook_seconds_total", "umemstress_lost_total"); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.CollectAndLint(e); err != nil || len(problems) > 0 {
		t.Errorf("%+v, %v", problems, err)
	}
	pages := `# HELP umemstress_pages_total Pages of pinned files by what happened to them. Dirtied pages are counted again as what they were.
# TYPE umemstress_pages_total counter
umemstress_pages_total{filesystem="ext4",holder="rdma",kind="bufferless"} 512
umemstress_pages_total{filesystem="ext4",holder="rdma",kind="detached"} 12
umemstress_pages_total{filesystem="ext4",holder="rdma",kind="dirtied"} 512
umemstress_pages_total{filesystem="ext4",holder="rdma",kind="stripped"} 512
umemstress_pages_total{filesystem="ext4",holder="rdma",kind="unannounced"} 500
`
	e.Set(observe.Summary{Sums: e.summary.Sums[:1]})
	if err := testutil.CollectAndCompare(e, strings.NewReader(pages), "umemstress_pages_total"); err != nil {
		t.Error(err)
	}
}

func TestWriteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "umemstress.prom")
	e := exporter()
	for range 2 { // exchanged, not added to
		if err := e.WriteFile(path); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`umemstress_dropped_folios_total{filesystem="ext4",holder="rdma"} 512`, "umemstress_events_total 7", "process_cpu_seconds_total"} {
		if n := strings.Count(string(text), "\n"+want); n != 1 {
			t.Errorf("%q is there %d times", want, n)
		}
	}
	if err := e.WriteFile(filepath.Join(t.TempDir(), "nowhere", "a.prom")); err == nil {
		t.Error("a directory that is not there took the file")
	}
}

func TestServe(t *testing.T) {
	s, err := exporter().Serve("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.Get("http://" + s.Addr.String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(answer.Body)
	if err = errors.Join(err, answer.Body.Close()); err != nil || !strings.Contains(string(text), `umemstress_regions_total{kind="refused"} 1`) {
		t.Errorf("%v: %s", err, text)
	}
	var kind interface{ Usage() bool }
	if _, err := exporter().Serve(s.Addr.String()); !errors.As(err, &kind) {
		t.Errorf("twice at one address: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if answer, err := http.Get("http://" + s.Addr.String() + "/metrics"); err == nil {
		answer.Body.Close()
		t.Error("it still answers")
	}
}
