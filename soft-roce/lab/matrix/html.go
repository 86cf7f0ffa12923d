package matrix

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"strings"
)

//go:embed page.html.tmpl
var pageText string

// pageTemplate needs nothing beside itself: no script, no other file. A cell of
// the table is a link to its panel, which CSS shows while it is the target.
var pageTemplate = template.Must(template.New("matrix").
	Funcs(template.FuncMap{"id": panelID, "inc": func(i int) int { return i + 1 }}).
	Parse(pageText))

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
	Channels []pageChannel
}

type pageChannel struct {
	Name, State string
	Fields      []pageField
}

type pageField struct{ Name, Value string }

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
		Channels: pageChannels(c.Repetition.Channels),
	}
}

// pageChannels takes the channels as run.json has them, so that a field that is
// added there is shown without being named here.
func pageChannels(raw json.RawMessage) []pageChannel {
	var all map[string]map[string]json.RawMessage
	if json.Unmarshal(raw, &all) != nil {
		return nil
	}
	var channels []pageChannel
	for _, name := range slices.Sorted(maps.Keys(all)) {
		channel := pageChannel{Name: name}
		for _, field := range slices.Sorted(maps.Keys(all[name])) {
			value := pageValue(all[name][field])
			if field == "state" {
				channel.State = value
				continue
			}
			channel.Fields = append(channel.Fields, pageField{strings.ReplaceAll(field, "_", " "), value})
		}
		channels = append(channels, channel)
	}
	return channels
}

// pageValue is a JSON value for a reader: a string without its quotes, lists and
// objects indented.
func pageValue(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var indented bytes.Buffer
	if json.Indent(&indented, raw, "", "  ") != nil {
		return string(raw)
	}
	return indented.String()
}

// ExitText is the exit code, if the command got as far as one.
func (c *pageCell) ExitText() string {
	if c.Exit == nil {
		return "none"
	}
	return fmt.Sprint(*c.Exit)
}
