package compare

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"umemstress/soft-roce/lab/machine"
	"umemstress/soft-roce/lab/matrix"
)

// run is a repetition that got to a verdict, or an outcome.
func run(got string) matrix.Repetition {
	return matrix.Repetition{Got: got, Reason: "so it was", Seconds: 2}
}

// lost is one whose disk has stale pages.
func lost(stale string) matrix.Repetition {
	r := run("data-lost")
	r.Evidence = "5.10/x"
	r.Phases = []matrix.Phase{{Name: "pin", Outcome: "done", Detail: "16 pages"}, {Name: "strip", Outcome: "done"}}
	r.Channels = json.RawMessage(`{"disk": {"state": "ok", "checked_pages": 16, "stale_pages": ` + stale + `, "fsync": "0", "why": ""},
		"probes": {"state": "ok", "events": ` + stale + `, "stacks": {"7": ["<ib_umem_release>"]}}, "accounting": {"state": "ok", "dirty_before": ` + stale + `},
		"folios": {"state": "ok", "pinned": [{"bytes": 4096, "folios": 16, "pages": 16}]}}`)
	return r
}

// refused is one whose kernel refused the pin.
func refused() matrix.Repetition {
	r := run("refused")
	r.Phases = []matrix.Phase{{Name: "pin", Outcome: "refused", Detail: "EFAULT"}}
	r.Channels = json.RawMessage(`{"disk": {"state": "absent", "checked_pages": 0}, "probes": {"state": "ok"}, "accounting": {"state": "absent"}, "folios": {"state": "absent"}}`)
	return r
}

func cell(kernel, scenario string, repetitions ...matrix.Repetition) matrix.Cell {
	c := matrix.Cell{Kernel: kernel, Release: kernel + ".0-amd64", Scenario: scenario, Repetition: repetitions[0]}
	if len(repetitions) > 1 {
		c.Repetitions = repetitions
	}
	return c
}

// testComparison has a scenario in every state, several where there are several ways into it.
func testComparison() *Comparison {
	result := &matrix.Result{
		Seconds: 61, Jobs: 2, Repeat: 1, Host: matrix.Host{Accel: machine.TCG, CPUs: 2}, Started: time.Unix(0, 0).UTC(),
		Guests: []matrix.GuestRecord{{Kernel: "6.12", Repetition: 1, Serial: "6.12/serial-1.1.log", Trouble: "its kernel crashed: kernel <BUG>"}},
	}
	failed := matrix.Repetition{Got: matrix.OutcomeFailed, Reason: "exit code 3: no mkfs.xfs"}
	lab := matrix.Repetition{Got: matrix.OutcomeLabFailed, Reason: "boot: it hung"}
	missing := matrix.Repetition{Got: matrix.OutcomeNotRun}
	var a, b []matrix.Cell
	for _, tt := range []struct {
		scenario string
		a, b     []matrix.Repetition
	}{
		{"differs/a/b/c", []matrix.Repetition{lost("16")}, []matrix.Repetition{refused()}},
		{"same/a/b/c", []matrix.Repetition{run("clean")}, []matrix.Repetition{run("clean")}},
		{"counts/a/b/c", []matrix.Repetition{lost("16")}, []matrix.Repetition{lost("3")}},
		{"dies/a/b/c", []matrix.Repetition{run("clean")}, []matrix.Repetition{run(matrix.OutcomeCrashed)}},
		{"hangs/a/b/c", []matrix.Repetition{run(matrix.OutcomeTimeout)}, []matrix.Repetition{run("clean")}},
		{"unsure/a/b/c", []matrix.Repetition{run("inconclusive")}, []matrix.Repetition{run("clean")}},
		{"unsure-both/a/b/c", []matrix.Repetition{run("inconclusive")}, []matrix.Repetition{run("inconclusive")}},
		{"unsteady/a/b/c", []matrix.Repetition{run("clean"), lost("1"), run("clean")}, []matrix.Repetition{run("clean"), run("clean"), run("clean")}},
		{"steady/a/b/c", []matrix.Repetition{lab, run("clean"), missing}, []matrix.Repetition{lost("1"), lost("1"), lost("1")}},
		{"fails/a/b/c", []matrix.Repetition{run("clean")}, []matrix.Repetition{failed}},
		{"fails-both/a/b/c", []matrix.Repetition{failed}, []matrix.Repetition{failed}},
		{"lab/a/b/c", []matrix.Repetition{lab}, []matrix.Repetition{run("clean")}},
		{"missing/a/b/c", []matrix.Repetition{run("clean")}, []matrix.Repetition{missing}},
	} {
		a = append(a, cell("5.10", tt.scenario, tt.a...))
		b = append(b, cell("6.12", tt.scenario, tt.b...))
	}
	result.Cells = append(a, b...)
	return New(result, Kernel{"5.10", "5.10", "5.10.0-amd64"}, Kernel{"6.12", "./6.12.tar.xz", "6.12.0-amd64"})
}

func TestStates(t *testing.T) {
	c := testComparison()
	want := map[string]State{
		"differs": Differs, "same": Equal, "counts": Equal, "dies": Differs, "hangs": Differs, "unsure": Inconclusive, "unsure-both": Equal,
		"unsteady": Unsteady, "steady": Differs, "fails": NotCompared, "fails-both": NotCompared, "lab": NotCompared, "missing": NotCompared,
	}
	for _, cell := range c.Cells {
		name, _, _ := strings.Cut(cell.Scenario, "/")
		if cell.State != want[name] {
			t.Errorf("%s: %s, want %s", name, cell.State, want[name])
		}
		why := map[string]string{
			"unsteady": "2 clean, 1 data-lost against 3 clean", "fails": "exit code 3: no mkfs.xfs", "fails-both": "exit code 3: no mkfs.xfs",
			"lab": "boot: it hung", "missing": "interrupted before it",
		}[name]
		if cell.Why != why {
			t.Errorf("%s: why %q, want %q", name, cell.Why, why)
		}
	}
	if len(c.Cells) != len(want) || c.Counts[Differs] != 4 || c.Counts[NotCompared] != 4 {
		t.Errorf("%d cells, %v", len(c.Cells), c.Counts)
	}
	// A side shows a repetition that ran.
	if got := c.Cells[8].A; got.Got != "clean" || got.text() != "1 lab-failed, 1 clean, 1 not-run" {
		t.Errorf("%+v", got)
	}
}

func TestSummary(t *testing.T) {
	c := testComparison()
	want := "13 scenarios, 4 differ, 1 inconclusive on one side, 1 inconclusive on both, 1 not equal to itself between repetitions, 4 not compared; 1m1s, 2 guests at a time, tcg on 2 CPUs"
	if got := c.Summary(); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	only := c.Only()
	if len(only.Cells) != 10 || only.Summary() != want || len(c.Cells) != 13 {
		t.Errorf("%d cells of %d, %s", len(only.Cells), len(c.Cells), only.Summary())
	}
}

func TestMissing(t *testing.T) {
	c := testComparison()
	why, lab := c.Missing()
	if why != "4 of 13 scenarios were not compared, such as fails/a/b/c: exit code 3: no mkfs.xfs" || !lab {
		t.Errorf("%q, %v", why, lab)
	}
	c.Cells = c.Cells[:11] // without what the lab could not run
	if why, lab := c.Missing(); why == "" || lab {
		t.Errorf("%q, %v", why, lab)
	}
	c.Cells = c.Cells[:9]
	if why, lab := c.Missing(); why != "" || lab {
		t.Errorf("all were compared, but %q, %v", why, lab)
	}
}

// What channels saw is shown where no repetition of one kernel saw what one of the other did.
func TestSaw(t *testing.T) {
	for name, tt := range map[string]struct {
		a, b []matrix.Repetition
		want string
	}{
		"refused":         {[]matrix.Repetition{lost("16")}, []matrix.Repetition{refused()}, "phases.pin: done, refused | disk.state: ok, absent | folios.state: ok, absent"},
		"other counts":    {[]matrix.Repetition{lost("16")}, []matrix.Repetition{lost("3")}, "disk.stale_pages: 16, 3"},
		"none on a side":  {[]matrix.Repetition{lost("0")}, []matrix.Repetition{lost("3")}, "disk.stale_pages: 0, 3"},
		"varies, apart":   {[]matrix.Repetition{lost("16"), lost("12"), lost("14")}, []matrix.Repetition{lost("3"), lost("0")}, "disk.stale_pages: 12 to 16, 0 to 3"},
		"varies, overlap": {[]matrix.Repetition{lost("16"), lost("3")}, []matrix.Repetition{lost("3")}, ""},
		"seen by some":    {[]matrix.Repetition{lost("16"), refused()}, []matrix.Repetition{lost("3")}, "disk.stale_pages: 16, 3"},
		"words vary":      {[]matrix.Repetition{pin("refused", ""), pin("failed", "")}, []matrix.Repetition{pin("done", "")}, "phases.pin: refused or failed, done"},
		"a field more":    {[]matrix.Repetition{pin("done", "")}, []matrix.Repetition{pin("done", "BUG")}, "kmsg.oops: , BUG"},
		"now and then":    {[]matrix.Repetition{pin("done", "BUG"), pin("done", "")}, []matrix.Repetition{pin("done", "Oops")}, "kmsg.oops: BUG or none, Oops"},
		"no record":       {[]matrix.Repetition{lost("16")}, []matrix.Repetition{run("guest-crashed")}, ""},
	} {
		var got []string
		for _, d := range differences(tt.a, tt.b) {
			got = append(got, d.Field+": "+d.A+", "+d.B)
		}
		if text := strings.Join(got, " | "); text != tt.want {
			t.Errorf("%s:\n%s\nwant\n%s", name, text, tt.want)
		}
	}
}

// pin has a phase and one field.
func pin(outcome, oops string) matrix.Repetition {
	r := run("crashed")
	r.Phases = []matrix.Phase{{Name: "pin", Outcome: outcome}}
	r.Channels = json.RawMessage(`{"kmsg": {"state": "ok", "oops": "` + oops + `"}}`)
	return r
}

// compare.json has the names of all states, so that a reader need not know which there are.
func TestJSON(t *testing.T) {
	raw, err := json.Marshal(testComparison())
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Schema string
		Counts map[string]int
		B      Kernel
		Cells  []struct {
			Scenario, State string
			A, B            struct {
				Got         string
				Repetitions []struct{ Got string }
			}
			Saw []Difference
		}
	}
	if err := json.Unmarshal(raw, &document); err != nil {
		t.Fatal(err)
	}
	first, unsteady := document.Cells[0], document.Cells[7]
	if document.Schema != "umemstress.compare/v1" || len(document.Counts) != 5 || document.B.Given != "./6.12.tar.xz" ||
		first.State != "differs" || first.A.Got != "data-lost" || first.B.Got != "refused" || len(first.Saw) == 0 || len(unsteady.A.Repetitions) != 3 {
		t.Errorf("%s", raw)
	}
}
