package provoke

import (
	"cmp"
	"fmt"
	"strings"

	"umemstress/workload/internal/printable"
)

// Text is the result for a person: what there is, and what was done if anything was.
func (r Result) Text() string {
	var b strings.Builder
	for _, t := range r.Targets {
		fmt.Fprintf(&b, "%-8s %12d bytes at %s of %s\n", cmp.Or(printable.Text(t.Filesystem), "?"), t.Bytes, t.Address, printable.Text(t.Path))
	}
	if c := r.Cgroup; c != nil {
		fmt.Fprintf(&b, "cgroup   %12d bytes of page cache of %s, with %d processes in it\n", c.FileBytes, printable.Text(c.Path), c.Processes)
	}
	if r.Passes > 0 {
		times := "once"
		if r.Passes > 1 {
			times = fmt.Sprintf("%d times", r.Passes)
		}
		fmt.Fprintf(&b, "written back and paged out %s in %.1f s, %d bytes in all\n", times, r.Seconds, r.AdvisedBytes)
	}
	if r.Ended {
		b.WriteString("the program ended meanwhile\n")
	}
	return b.String()
}
