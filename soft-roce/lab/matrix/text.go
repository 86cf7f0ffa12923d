package matrix

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// WriteText writes the table, scenarios by kernels, and what is not as
// expected.
func (result *Result) WriteText(w io.Writer) error {
	table := result.Table()
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "scenario\t  %s\n", strings.Join(table.Kernels, "\t  "))
	fmt.Fprintf(t, "\t  %s\n", strings.Join(table.Releases, "\t  "))
	for _, row := range table.Rows {
		fmt.Fprint(t, row.Scenario)
		for _, cell := range row.Cells {
			fmt.Fprintf(t, "\t%s", cellText(cell))
		}
		fmt.Fprintln(t)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString("\n")
	if result.Differences > 0 {
		b.WriteString("! not as expected:\n")
	}
	for _, cell := range result.Cells {
		for _, difference := range cell.Differences {
			fmt.Fprintf(&b, "  %s %s: %s\n", cell.Kernel, cell.Scenario, difference)
		}
	}
	for _, guest := range result.Guests {
		if guest.Trouble != "" {
			fmt.Fprintf(&b, "a guest with %s ended before its time: %s (%s)\n", guest.Kernel, guest.Trouble, guest.Serial)
		}
	}
	fmt.Fprintf(&b, "%s\n", result.Summary())
	_, err := io.WriteString(w, b.String())
	return err
}

// cellText is two columns for the mark, and the verdict.
func cellText(cell *Cell) string {
	switch {
	case cell == nil:
		return "  -"
	case cell.Difference:
		return "! " + cell.Got
	case cell.Expected == "" && cell.Got != OutcomeNotRun:
		return "? " + cell.Got
	}
	return "  " + cell.Got
}
