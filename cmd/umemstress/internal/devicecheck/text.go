package devicecheck

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// Text writes a line for each step, and what it comes to.
func (d Document) Text(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, s := range d.Steps {
		fmt.Fprintf(t, "%s\t%s\t%s\n", s.Name, s.State, s.Detail)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s\n", d.sentence())
	return err
}

func (d Document) sentence() string {
	failed := d.failed()
	switch {
	case failed == nil:
		return fmt.Sprintf("%s does all that a run asks of it.", d.Facts.Name)
	case failed.HostLacks:
		return fmt.Sprintf("It ends at the step %q, for what this host lacks.", failed.Name)
	}
	return fmt.Sprintf("It ends at the step %q: a run would end there, too.", failed.Name)
}
