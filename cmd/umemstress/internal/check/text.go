package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// row is what the screen shows of one item, or of several in a row that differ
// in their names only.
type row struct {
	group         string // such as lab
	state, detail string
	names         []string // in the group
	costs         []string
	remedy        string
}

// rows joins neighbours. An item's name may be GROUP: NAME.
func rows(items []item) []row {
	var list []row
	for _, i := range items {
		group, name, grouped := strings.Cut(i.Name, ": ")
		if n := len(list) - 1; grouped && n >= 0 {
			r := &list[n]
			if r.group == group && r.state == i.State && r.detail == i.Detail && r.remedy == i.Remedy {
				r.names = append(r.names, name)
				if i.Costs != "" && !slices.Contains(r.costs, i.Costs) {
					r.costs = append(r.costs, i.Costs)
				}
				continue
			}
		}
		r := row{group: group, state: i.State, detail: i.Detail, remedy: i.Remedy}
		if grouped {
			r.names = []string{name}
		}
		if i.Costs != "" {
			r.costs = []string{i.Costs}
		}
		list = append(list, r)
	}
	return list
}

// printCheck writes a line for each row, and below those that are not ok what that
// costs and how to get it.
func printCheck(w io.Writer, d checkDocument) error {
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
	return printAbilities(w, d)
}

func printAbilities(w io.Writer, d checkDocument) error {
	var can, cannot []string
	for _, a := range []struct {
		able       bool
		what, note string
	}{
		{d.Can.Run, "a run", crashNote(d.Items)},
		{d.Can.Observe, "observation by probes", ""},
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
func crashNote(items []item) string {
	for _, i := range items {
		if strings.Contains(i.Costs, "--allow-crash") {
			return " (with --allow-crash)"
		}
	}
	return ""
}
