package matrix

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

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

// TestHTML reads the page as a browser would have to: elements close in order,
// identifiers are there once, links lead to them, and nothing is fetched.
func TestHTML(t *testing.T) {
	result := testResult()
	var out bytes.Buffer
	if err := result.WriteHTML(&out); err != nil {
		t.Fatal(err)
	}
	ids, links, classes := map[string]int{}, map[string]bool{}, map[string]int{}
	var text strings.Builder
	decoder := xml.NewDecoder(&out)
	decoder.Strict = false
	decoder.AutoClose = []string{"meta", "!doctype"}
	decoder.Entity = xml.HTMLEntity
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.CharData:
			text.Write(token)
		case xml.StartElement:
			switch token.Name.Local {
			case "script", "link", "img", "iframe":
				t.Errorf("the page has a %s", token.Name.Local)
			}
			for _, a := range token.Attr {
				switch a.Name.Local {
				case "id":
					ids[a.Value]++
				case "href":
					links[a.Value] = true
				case "class":
					classes[token.Name.Local+"."+a.Value]++
				}
			}
		}
	}
	for _, c := range result.Cells {
		id := panelID(c.Kernel, c.Scenario)
		if ids[id] != 1 || !links["#"+id] {
			t.Errorf("%s: %d panels, linked: %v", id, ids[id], links["#"+id])
		}
	}
	for link := range links {
		if strings.Contains(link, ":") || strings.HasPrefix(link, "/") {
			t.Errorf("link to %s", link)
		}
		if id, ok := strings.CutPrefix(link, "#"); ok && id != "" && ids[id] != 1 {
			t.Errorf("link to %s, of which there are %d", link, ids[id])
		}
	}
	for class, want := range map[string]int{
		"a.cell data-lost": 2, "a.cell data-lost differs": 1, "a.cell guest-crashed differs": 1, "a.cell not-run": 1, "td.none": 3,
	} {
		if classes[class] != want {
			t.Errorf("%d elements of %s, want %d", classes[class], class, want)
		}
	}
	for _, want := range []string{
		"1 < 2 & so on", "<no BTF>", "stale pages", "ib_umem_release+0x1", "seen by hand", "expected clean", "attempt before", "lab-failed: <gone>",
		"repetitions differ: 1 clean, 1 data-lost", "6.1.0-amd64", "kernel BUG", "12", "probes: absent", "nothing (explored)",
	} {
		if !strings.Contains(text.String(), want) {
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
