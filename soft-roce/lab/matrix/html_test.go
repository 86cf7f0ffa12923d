package matrix

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"umemstress/soft-roce/lab/internal/labtest"
	"umemstress/soft-roce/lab/kernels"
	"umemstress/soft-roce/lab/machine"
)

// testResult has a cell of each kind.
func testResult() *Result {
	exit := 12
	lost := Repetition{Got: "data-lost", Reason: "1 < 2 & so on", Seconds: 2.1, Exit: &exit, Attempts: 1, Channels: json.RawMessage(
		`{"disk": {"state": "ok", "stale_pages": 1024, "fsync": "0"}, "probes": {"state": "absent", "why": "<no BTF>", "stacks": {"7": ["ib_umem_release+0x1"]}}}`)}
	expected := func(kernel, scenario, verdict string, reps ...Repetition) Cell {
		return newCell(Expectation{Kernel: kernel, Scenario: scenario, Verdict: verdict, Source: "seen by hand"},
			&Column{Name: kernel, Kernel: kernels.Kernel{Release: kernel + ".0-amd64"}}, reps)
	}
	crashed := Repetition{Got: OutcomeCrashed, Reason: "kernel BUG", Attempts: 2, Earlier: []string{"lab-failed: <gone>"}}
	result := &Result{
		Schema: Schema, Started: time.Unix(0, 0).UTC(), Seconds: 61, Host: Host{machine.TCG, 2}, Jobs: 2, Repeat: 1,
		Guests: []GuestRecord{{Kernel: "6.1", Repetition: 1, Serial: "6.1/serial-1.1.log", Trouble: "its kernel crashed: kernel BUG"}},
		Cells: []Cell{
			expected("5.10", "rdma/ext4/pageout/none", "data-lost", lost),
			expected("5.10", "rdma/xfs/none/reflink", "clean", lost, Repetition{Got: "clean"}),
			expected("6.1", "rdma/ext4/pageout/none", "clean", crashed),
			expected("6.1", "dio/ext4/pageout/none", "", lost),
			expected("6.1", "dio/xfs/none/reflink", "corrupted", Repetition{Got: OutcomeNotRun}),
		},
	}
	for _, c := range result.Cells {
		if c.Difference {
			result.Differences++
		}
	}
	return result
}

func TestTable(t *testing.T) {
	table := testResult().Table()
	if strings.Join(table.Kernels, " ") != "5.10 6.1" || strings.Join(table.Releases, " ") != "5.10.0-amd64 6.1.0-amd64" {
		t.Errorf("kernels %v, releases %v", table.Kernels, table.Releases)
	}
	var got []string
	for _, row := range table.Rows {
		for i, cell := range row.Cells {
			word := "-"
			if cell != nil {
				word = cell.Got
				if cell.Kernel != table.Kernels[i] || cell.Scenario != row.Scenario {
					t.Errorf("%s on %s stands in row %s, column %s", cell.Scenario, cell.Kernel, row.Scenario, table.Kernels[i])
				}
			}
			got = append(got, word)
		}
	}
	if want := "data-lost guest-crashed data-lost - - data-lost - not-run"; strings.Join(got, " ") != want {
		t.Errorf("cells %s, want %s", strings.Join(got, " "), want)
	}
}

func TestSummary(t *testing.T) {
	want := "1 of 3 cells as expected, 1 explored, 1 not run; 1m1s, 2 guests at a time, tcg on 2 CPUs"
	if got := testResult().Summary(); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// Each cell of the table has a panel, and leads to it.
func TestHTML(t *testing.T) {
	result := testResult()
	var out bytes.Buffer
	if err := result.WriteHTML(&out); err != nil {
		t.Fatal(err)
	}
	page := labtest.ReadPage(t, &out)
	for _, c := range result.Cells {
		id := panelID(c.Kernel, c.Scenario)
		if page.IDs[id] != 1 || page.Links["#"+id] == 0 {
			t.Errorf("%s: %d panels, %d links", id, page.IDs[id], page.Links["#"+id])
		}
	}
	for class, want := range map[string]int{
		"a.cell data-lost": 2, "a.cell data-lost differs": 1, "a.cell guest-crashed differs": 1, "a.cell not-run": 1, "td.none": 3,
	} {
		if page.Classes[class] != want {
			t.Errorf("%d elements of %s, want %d", page.Classes[class], class, want)
		}
	}
	for _, want := range []string{
		"1 < 2 & so on", "<no BTF>", "stale pages", "ib_umem_release+0x1", "seen by hand", "expected clean", "attempt before", "lab-failed: <gone>",
		"repetitions differ: 1 clean, 1 data-lost", "6.1.0-amd64", "kernel BUG", "12", "probes: absent", "nothing (explored)",
	} {
		if !strings.Contains(page.Text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

// The title of a page that lists not everything does not say that all is well.
func TestTitle(t *testing.T) {
	for _, tt := range []struct {
		result Result
		want   string
	}{
		{Result{}, "as expected"},
		{Result{Differences: 1}, "1 difference"},
		{Result{Differences: 2, Interrupted: true}, "interrupted, 2 differences"},
		{Result{Interrupted: true}, "interrupted, no difference until then"},
	} {
		var page strings.Builder
		if err := tt.result.WriteHTML(&page); err != nil {
			t.Fatal(err)
		}
		if want := "<title>umemstress matrix: " + tt.want + "</title>"; !strings.Contains(page.String(), want) {
			t.Errorf("no %s in %.400s", want, page.String())
		}
	}
}
