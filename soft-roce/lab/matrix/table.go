package matrix

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Table is a result as a reader looks at it: scenarios by kernels.
type Table struct {
	Kernels  []string
	Releases []string // of the kernels
	Rows     []Row
}

// Row is a scenario, and its cell on each kernel; nil: it was not asked
// for on that one.
type Row struct {
	Scenario string
	Cells    []*Cell
}

// Table arranges the cells, which keep the order in which they were asked for.
func (result *Result) Table() Table {
	var t Table
	rows := map[string]int{}
	for i := range result.Cells {
		cell := &result.Cells[i]
		if !slices.Contains(t.Kernels, cell.Kernel) {
			t.Kernels = append(t.Kernels, cell.Kernel)
			t.Releases = append(t.Releases, cell.Release)
		}
		if _, ok := rows[cell.Scenario]; !ok {
			rows[cell.Scenario] = len(t.Rows)
			t.Rows = append(t.Rows, Row{Scenario: cell.Scenario})
		}
	}
	for i := range t.Rows {
		t.Rows[i].Cells = make([]*Cell, len(t.Kernels))
	}
	for i := range result.Cells {
		cell := &result.Cells[i]
		t.Rows[rows[cell.Scenario]].Cells[slices.Index(t.Kernels, cell.Kernel)] = cell
	}
	return t
}

// Summary is the result in a sentence.
func (result *Result) Summary() string {
	var compared, explored, missing int
	for _, c := range result.Cells {
		switch {
		case c.Got == OutcomeNotRun:
			missing++
		case c.Expected == "":
			explored++
		default:
			compared++
		}
	}
	s := fmt.Sprintf("%d of %d cells as expected", compared-result.Differences, compared)
	if result.Repeat > 1 {
		s += fmt.Sprintf(", each run %d times", result.Repeat)
	}
	if explored > 0 {
		s += fmt.Sprintf(", %d explored", explored)
	}
	if missing > 0 {
		s += fmt.Sprintf(", %d not run", missing)
	}
	if result.Interrupted {
		s += " (interrupted)"
	}
	return s + "; " + result.Effort()
}

// Effort is how long the cells took, and on what.
func (result *Result) Effort() string {
	took := time.Duration(result.Seconds * float64(time.Second)).Round(time.Second)
	return fmt.Sprintf("%s, %s at a time, %s on %d CPUs", took, plural(result.Jobs, "guest"), result.Host.Accel, result.Host.CPUs)
}

// title is the summary in a few words, in which an end before its time is no good news.
func (result *Result) title() string {
	title := "as expected"
	if result.Differences > 0 {
		title = plural(result.Differences, "difference")
	}
	if result.Interrupted {
		title = "interrupted, " + strings.Replace(title, "as expected", "no difference until then", 1)
	}
	return title
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
