package check

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Text writes a line for each row, and below those that are not ok what that
// costs and how to get it.
func (d Document) Text(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "kernel\t\t%s, %s\n", d.Kernel.Release, d.Kernel.Version)
	for _, r := range rows(d.Items) {
		detail := r.detail
		if len(r.names) > 0 {
			detail = strings.Join(r.names, ", ") + ": " + detail
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", r.group, r.state, detail)
		if len(r.costs) > 0 {
			fmt.Fprintf(t, "\t\t  costs: %s\n", strings.Join(r.costs, "; "))
		}
		if r.remedy != "" {
			fmt.Fprintf(t, "\t\t  get it: %s\n", r.remedy)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return d.abilitiesText(w)
}

func (d Document) abilitiesText(w io.Writer) error {
	var can, cannot []string
	crash := crashNote(d.Items)
	for _, a := range []struct {
		able       bool
		what, note string
	}{
		{d.Can.Run, "a run with RDMA", crash},
		{d.Can.RunDIO, "a run with --holder dio", crash},
		{d.Can.RunVMWritev, "a run with --holder vmwritev", crash},
		{d.Can.RunVMCI, "a run with --holder vmci", crash},
		{d.Can.RunNFS, "a run with --holder nfs", crash},
		{d.Can.RunAIO, "a run with --holder aio", crash},
		{d.Can.RunURing, "a run with --holder uring", crash},
		{d.Can.RunFUSE, "a run with --holder fuse", crash},
		{d.Can.RunV4L2, "a run with --holder v4l2", crash},
		{d.Can.RunXDP, "a run with --holder xdp", crash},
		{d.Can.Run9P, "a run with --holder 9p", crash},
		{d.Can.Observe, "probes on them all", ""},
		{d.Can.Lab, "the lab", ""},
	} {
		if a.able {
			can = append(can, a.what+a.note)
		} else {
			cannot = append(cannot, a.what)
		}
	}
	fmt.Fprintln(w)
	if len(can) > 0 {
		fmt.Fprintf(w, "possible here:     %s\n", strings.Join(can, ", "))
	}
	if len(cannot) > 0 {
		fmt.Fprintf(w, "not possible here: %s\n", strings.Join(cannot, ", "))
	}
	_, err := fmt.Fprintln(w, "Whether this kernel loses data cannot be seen from here: only a run tells.")
	return err
}

// crashNote is what a run needs where the kernel might panic.
func crashNote(items []Item) string {
	for _, i := range items {
		if strings.Contains(i.Costs, "--allow-crash") {
			return " (with --allow-crash)"
		}
	}
	return ""
}
