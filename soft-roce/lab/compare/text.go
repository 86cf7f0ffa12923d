package compare

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// none stands for a value, or an outcome, that there is not.
const none = "–"

// headings are the states in words.
var headings = map[State]string{
	Differs:      "differs",
	Inconclusive: "inconclusive on one side",
	Unsteady:     "not equal to itself",
	NotCompared:  "not compared",
	Equal:        "equal",
}

// WriteText writes the scenarios that are not equal, or all, with what each kernel did, then
// what the channels saw differently, and the summary.
func (c *Comparison) WriteText(w io.Writer, all bool) error {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	shown := 0
	for _, state := range states() {
		if c.Counts[state] == 0 || state == Equal && !all {
			continue
		}
		if shown == 0 {
			fmt.Fprintf(t, "scenario\t%s\t%s\n\t%s\t%s\n", c.A.Name, c.B.Name, c.A.Release, c.B.Release)
		}
		shown++
		for _, cell := range c.Cells {
			if cell.State == state {
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", cell.Scenario, cell.A.text(), cell.B.text(), headings[state])
			}
		}
	}
	t.Flush()
	if shown > 0 {
		b.WriteString("\n")
	}
	for _, state := range states() {
		for _, cell := range c.Cells {
			switch {
			case cell.State != state, state == Equal && (!all || len(cell.Saw) == 0), cell.Why == beforeIt:
				continue // the table tells all of it
			}
			c.detail(&b, cell)
		}
	}
	for _, guest := range c.Guests {
		if guest.Trouble != "" {
			fmt.Fprintf(&b, "a guest with %s ended before its time: %s (%s)\n", guest.Kernel, guest.Trouble, guest.Serial)
		}
	}
	fmt.Fprintf(&b, "%s\n", c.Summary())
	_, err := io.WriteString(w, b.String())
	return err
}

// detail is what is known of a scenario beyond its verdicts.
func (c *Comparison) detail(b *strings.Builder, cell Cell) {
	fmt.Fprintf(b, "%s\n", cell.Scenario)
	switch cell.State {
	case Unsteady, NotCompared:
		fmt.Fprintf(b, "  %s\n\n", cell.Why)
		return
	case Equal:
	default:
		fmt.Fprintf(b, "  %s: %s: %s\n", c.A.Name, cell.A.Got, cell.A.Reason)
		fmt.Fprintf(b, "  %s: %s: %s\n", c.B.Name, cell.B.Got, cell.B.Reason)
	}
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	if len(cell.Saw) > 0 {
		fmt.Fprintf(t, "    \t%s\t%s\n", c.A.Name, c.B.Name)
	}
	for _, d := range cell.Saw {
		fmt.Fprintf(t, "    %s\t%s\t%s\n", d.Field, cmp.Or(d.A, none), cmp.Or(d.B, none))
	}
	t.Flush()
	b.WriteString("\n")
}

// text is the side's verdict, or, of several repetitions that differ, how often each.
func (s Side) text() string {
	if len(words(s.all())) > 1 {
		return tally(s.all())
	}
	return cmp.Or(s.Got, none)
}
