package report

import (
	"fmt"
	"strings"

	"umemstress/workload/record"
	"umemstress/workload/remedy"
	"umemstress/workload/scenario"
)

// now writes what to do, as run and triage have it.
func (t table) now(n remedy.Now) {
	for _, f := range n.Fixes {
		t.row("fix", "%s", FixLine(f))
		t.row("", "with it, %s", f.Does)
		t.row("", "in %s", f.Kernels)
	}
	if n.Unfixed != "" {
		t.row("no fix", "%s", n.Unfixed)
	}
	for i, advice := range n.Meanwhile {
		name := "what now"
		if i > 0 {
			name = ""
		}
		t.row(name, "%s", advice)
	}
}

// fixStates are the states of a fix in words.
var fixStates = map[string]string{
	remedy.Lacks:        "the kernel lacks it",
	remedy.LikelyLacks:  "the kernel likely lacks it",
	remedy.LikelyHas:    "the kernel likely has it",
	remedy.StateUnknown: "not known whether the kernel has it",
}

// FixLine names a fix, and says whether the kernel has it.
func FixLine(f remedy.FixState) string {
	name := strings.Join(f.Commits, ", ")
	if name == "" {
		name = "no commit yet"
	}
	return fmt.Sprintf("%s, %q: %s (%s)", name, f.Subject, fixStates[f.State], f.Why)
}

// Trouble is what a run has shown, for what to do about it.
func Trouble(r *record.Record) remedy.Trouble {
	t := remedy.Trouble{
		Effect:     r.Verdict,
		Holder:     r.Scenario.Holder,
		Filesystem: r.Scenario.Filesystem,
		Mutation:   r.Scenario.Mutation,
		Detached:   detached(r),
		Silent:     r.Verdict == record.DataLost && r.Channels.Probes.State == record.StateOK && r.Channels.Probes.BufferlessPages == 0,
		Kernel:     remedy.ParseKernel(r.Kernel, r.Host.Version),
	}
	if r.Verdict == record.DataLost {
		t.LeftClean, _ = r.LeftClean()
	}
	for _, s := range r.Channels.Folios.Pinned {
		t.Large = t.Large || s.Bytes > smallFolio && r.Channels.Folios.StrippedFolios > 0
	}
	for _, d := range append(r.Channels.Kmsg.Deaths, r.Channels.Console.Deaths...) {
		t.BugOn = t.BugOn || strings.Contains(d.Said, "kernel BUG at fs/ext4/")
		t.Panicked = t.Panicked || d.Panicked
		t.OfWarning = t.OfWarning || strings.HasPrefix(d.Said, "WARNING: ")
	}
	return t
}

// detached says whether pages had gone from their file: the probes saw such be dirtied, or the page cache
// has lost their bytes, too, of a holder that marks none dirty.
func detached(r *record.Record) bool {
	c := r.Channels
	return c.Probes.DetachedPages > 0 ||
		r.Facts != nil && r.Facts.Detaches && r.Facts.LeftClean != scenario.LeftCleanNone && c.Cache.State == record.StateOK && c.Cache.StalePages > 0
}

// smallFolio is the size of a page.
const smallFolio = 4096
