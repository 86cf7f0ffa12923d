package matrix

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	shared "umemstress/soft-roce/lab/internal/page"
)

//go:embed page.html.tmpl
var pageText string

// A cell of the table is a link to its panel, which CSS shows while it is the target.
var pageTemplate = shared.Template(pageText, template.FuncMap{"id": panelID, "inc": func(i int) int { return i + 1 }})

// WriteHTML writes the result as one self-contained page.
func (result *Result) WriteHTML(w io.Writer) error {
	return pageTemplate.Execute(w, newPage(result))
}

type page struct {
	*Result
	Kernels []pageKernel
	Rows    []pageRow
	Legend  []string
	Title   string
	Summary string
	Trouble []GuestRecord
}

type pageKernel struct{ Name, Release string }

type pageRow struct {
	Scenario string
	Cells    []*pageCell // of each kernel; nil: not in the matrix
}

type pageCell struct {
	*Cell
	ID       string
	Channels []shared.Channel
}

func newPage(result *Result) *page {
	p := &page{Result: result, Title: result.title(), Summary: result.Summary()}
	table := result.Table()
	for i, name := range table.Kernels {
		p.Kernels = append(p.Kernels, pageKernel{name, table.Releases[i]})
	}
	seen := map[string]bool{}
	for _, row := range table.Rows {
		pr := pageRow{Scenario: row.Scenario}
		for _, cell := range row.Cells {
			var pc *pageCell
			if cell != nil {
				pc = newPageCell(cell)
				seen[cell.Got] = true
			}
			pr.Cells = append(pr.Cells, pc)
		}
		p.Rows = append(p.Rows, pr)
	}
	for _, word := range slices.Concat(verdictWords(), []string{OutcomeFailed, OutcomeCrashed, OutcomeTimeout, OutcomeLabFailed, OutcomeNotRun}) {
		if seen[word] {
			p.Legend = append(p.Legend, word)
		}
	}
	for _, g := range result.Guests {
		if g.Trouble != "" {
			p.Trouble = append(p.Trouble, g)
		}
	}
	return p
}

// panelID is a cell's place in the page, such as #5.10_rdma_ext4_pageout_none.
func panelID(kernel, scenario string) string {
	return kernel + "_" + strings.ReplaceAll(scenario, "/", "_")
}

func newPageCell(c *Cell) *pageCell {
	return &pageCell{
		Cell:     c,
		ID:       panelID(c.Kernel, c.Scenario),
		Channels: shared.Channels(c.Repetition.Channels),
	}
}

// ExitText is the exit code, if the command got as far as one.
func (c *pageCell) ExitText() string {
	if c.Exit == nil {
		return "none"
	}
	return fmt.Sprint(*c.Exit)
}
