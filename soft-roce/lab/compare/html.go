package compare

import (
	"cmp"
	_ "embed"
	"html/template"
	"io"
	"strings"

	"umemstress/soft-roce/lab/internal/page"
	"umemstress/soft-roce/lab/matrix"
)

//go:embed page.html.tmpl
var pageText string

var pageTemplate = page.Template(pageText, template.FuncMap{
	"shown": func(value string) string { return cmp.Or(value, none) },
	"inc":   func(i int) int { return i + 1 },
})

// WriteHTML writes the comparison as one self-contained page. Equal scenarios stand in it
// folded up.
func (c *Comparison) WriteHTML(w io.Writer) error {
	return pageTemplate.Execute(w, newView(c))
}

type view struct {
	*Comparison
	Summary string
	Groups  []viewGroup
	Trouble []matrix.GuestRecord
}

// viewGroup is the scenarios of a state.
type viewGroup struct {
	State   State
	Heading string
	Folded  bool
	Cells   []viewCell
}

type viewCell struct {
	Cell
	ID    string
	Sides []viewSide
}

// viewSide is a column of a cell's panel.
type viewSide struct {
	Side
	Kernel Kernel
	Text   string
}

func newView(c *Comparison) *view {
	v := &view{Comparison: c, Summary: c.Summary()}
	for _, state := range states() {
		group := viewGroup{State: state, Heading: headings[state], Folded: state == Equal}
		for _, cell := range c.Cells {
			if cell.State == state {
				group.Cells = append(group.Cells, viewCell{
					Cell: cell,
					ID:   strings.ReplaceAll(cell.Scenario, "/", "_"),
					Sides: []viewSide{
						{cell.A, c.A, cell.A.text()},
						{cell.B, c.B, cell.B.text()},
					},
				})
			}
		}
		if len(group.Cells) > 0 {
			v.Groups = append(v.Groups, group)
		}
	}
	for _, guest := range c.Guests {
		if guest.Trouble != "" {
			v.Trouble = append(v.Trouble, guest)
		}
	}
	return v
}

// Title is the summary in a few words.
func (v *view) Title() string {
	title := plural(v.Counts[Differs], "difference")
	if v.Interrupted {
		title += ", interrupted"
	}
	return v.A.Name + " against " + v.B.Name + ": " + title
}

// Channels are what the channels of the side saw, for a reader.
func (s viewSide) Channels() []page.Channel { return page.Channels(s.Repetition.Channels) }

// Class is the style of the side's verdict.
func (s viewSide) Class() string {
	if len(words(s.all())) > 1 {
		return "inconclusive"
	}
	return s.Got
}
