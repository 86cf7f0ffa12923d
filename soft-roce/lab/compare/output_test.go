package compare

import (
	"bytes"
	"strings"
	"testing"

	"umemstress/soft-roce/lab/internal/labtest"
	"umemstress/workload/report/ci"
)

func TestText(t *testing.T) {
	c := testComparison()
	c.Cells = append(c.Cells[:2:2], c.Cells[5], c.Cells[7], c.Cells[9])
	c.Counts = map[State]int{Differs: 1, Equal: 1, Inconclusive: 1, Unsteady: 1, NotCompared: 1}
	c.both = 0
	var out bytes.Buffer
	if err := c.WriteText(&out, false); err != nil {
		t.Fatal(err)
	}
	const want = `scenario        5.10                  6.12
                5.10.0-amd64          6.12.0-amd64
differs/a/b/c   data-lost             refused  differs
unsure/a/b/c    inconclusive          clean    inconclusive on one side
unsteady/a/b/c  2 clean, 1 data-lost  clean    not equal to itself
fails/a/b/c     clean                 failed   not compared

differs/a/b/c
  5.10: data-lost: so it was
  6.12: refused: so it was
                  5.10  6.12
    phases.pin    done  refused
    disk.state    ok    absent
    folios.state  ok    absent

unsure/a/b/c
  5.10: inconclusive: so it was
  6.12: clean: so it was

unsteady/a/b/c
  2 clean, 1 data-lost against 3 clean

fails/a/b/c
  exit code 3: no mkfs.xfs

a guest with 6.12 ended before its time: its kernel crashed: kernel <BUG> (6.12/serial-1.1.log)
5 scenarios, 1 differs, 1 inconclusive on one side, 1 not equal to itself between repetitions, 1 not compared; 1m1s, 2 guests at a time, tcg on 2 CPUs
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &out, want)
	}
	out.Reset()
	if err := c.WriteText(&out, true); err != nil || !strings.Contains(out.String(), "\nsame/a/b/c      clean                 clean    equal\n") {
		t.Errorf("%v: of all\n%s", err, &out)
	}
}

// Of scenarios that an interruption left out, the table says enough.
func TestTextInterrupted(t *testing.T) {
	c := testComparison()
	c.Cells, c.Guests, c.Counts, c.both, c.Interrupted = c.Cells[12:], nil, map[State]int{NotCompared: 1}, 0, true
	var out bytes.Buffer
	const want = `scenario       5.10          6.12
               5.10.0-amd64  6.12.0-amd64
missing/a/b/c  clean         not-run  not compared

1 scenario, 0 differ, 1 not compared (interrupted); 1m1s, 2 guests at a time, tcg on 2 CPUs
`
	if err := c.WriteText(&out, false); err != nil || out.String() != want {
		t.Errorf("%v, got\n%s\nwant\n%s", err, &out, want)
	}
}

// Where all is equal, that is all that is said.
func TestTextOfEqual(t *testing.T) {
	c := testComparison()
	c.Cells, c.Guests, c.Counts, c.both = c.Cells[1:2], nil, map[State]int{Equal: 1}, 0
	var out bytes.Buffer
	if err := c.WriteText(&out, false); err != nil || out.String() != "1 scenario, 0 differ; 1m1s, 2 guests at a time, tcg on 2 CPUs\n" {
		t.Errorf("%v, %q", err, &out)
	}
}

func TestReport(t *testing.T) {
	for inconclusive, want := range map[ci.Outcome][]ci.Outcome{
		ci.Skipped: {ci.Failed, ci.Passed, ci.Passed, ci.Failed, ci.Failed, ci.Skipped, ci.Passed, ci.Skipped, ci.Failed, ci.Errored, ci.Errored, ci.Errored, ci.Skipped},
		ci.Failed:  {ci.Failed, ci.Passed, ci.Passed, ci.Failed, ci.Failed, ci.Failed, ci.Passed, ci.Failed, ci.Failed, ci.Errored, ci.Errored, ci.Errored, ci.Skipped},
	} {
		report := testComparison().Report("/evidence", inconclusive)
		if len(report.Suites) != 1 || report.Suites[0].Name != "5.10 against 6.12" || len(report.Suites[0].Cases) != len(want) {
			t.Fatalf("%+v", report)
		}
		for i, c := range report.Suites[0].Cases {
			if c.Outcome != want[i] {
				t.Errorf("%s: outcome %d, want %d", c.Name, c.Outcome, want[i])
			}
		}
	}
	c := testComparison().Report("/evidence", ci.Skipped).Suites[0].Cases[0]
	if c.Why != "data-lost on 5.10, refused on 6.12" || c.Seconds != 4 || c.Evidence != "/evidence/5.10/x" ||
		c.Detail[0] != "5.10: data-lost: so it was" || c.Detail[2] != "phases.pin: done on 5.10, refused on 6.12" {
		t.Errorf("%+v", c)
	}
}

// Each scenario of the table has a panel, and both kernels' cells lead to it.
func TestHTML(t *testing.T) {
	c := testComparison()
	var out bytes.Buffer
	if err := c.WriteHTML(&out); err != nil {
		t.Fatal(err)
	}
	page := labtest.ReadPage(t, &out)
	for _, cell := range c.Cells {
		id := strings.ReplaceAll(cell.Scenario, "/", "_")
		if page.IDs[id] != 1 || page.Links["#"+id] != 2 {
			t.Errorf("%s: %d panels, %d links", id, page.IDs[id], page.Links["#"+id])
		}
	}
	for _, want := range []string{
		"umemstress compare 5.10 against 6.12: 4 differences", c.Summary(), "equal: 3", "differs: 4", "phases.pin", "stale pages", "kernel <BUG>",
		"<ib_umem_release>", "2 clean, 1 data-lost", "./6.12.tar.xz", "not compared: 4", "color-scheme: light dark",
	} {
		if !strings.Contains(page.Text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}
