package mail

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"umemstress/workload/record"
)

// facts are those of the kernel, the machine and the file.
func facts(r *record.Record) []Fact {
	h, f := r.Host, r.File
	all := []Fact{
		{"kernel", sayf("%s, %s", r.Kernel, h.Version)},
		{"machine", sayf("%s, %s, %d MiB of memory, pages of %d bytes", h.Machine, count(h.CPUs, "CPU"), h.MemoryBytes>>20, h.PageSize)},
	}
	if r.Device.Name != "" {
		all = append(all, Fact{"holder", sayf("%s: %s (%s), through %s", r.Scenario.Holder, r.Device.Name, r.Device.Driver, r.Device.Backend)})
	}
	if p := r.Device.Peer; p != nil {
		all = append(all, Fact{"peer", sayf("the bytes come from another host: %s (%s), through %s", p.Name, p.Driver, p.Backend)})
	}
	fs := text(r.Scenario.Filesystem)
	if f.Device != "" {
		fs += " on " + text(f.Device)
	}
	if f.Scratch {
		fs += ", made for this"
	}
	if f.Mkfs != "" {
		fs += " by " + text(f.Mkfs)
	}
	all = append(all, Fact{"file system", fs})
	for _, region := range r.Regions[:min(len(r.Regions), 2)] {
		line := fmt.Sprintf("%s (%d bytes)", count(region.Pages, "page"), region.Bytes)
		if region.Kind != record.RegionFile {
			line += ", anonymous memory"
		} else if f.Bytes > 0 {
			line += fmt.Sprintf(" from byte %d on of a file of %d bytes", region.Offset, f.Bytes)
		}
		all = append(all, Fact{"region", line})
	}
	if line := folios(r.Channels.Folios); line != "" {
		all = append(all, Fact{"folios", line})
	}
	return append(all, Fact{"date", r.Started.UTC().Format("2006-01-02 15:04 MST")})
}

// folios says of what sizes those are that hold the region.
func folios(c record.FoliosChannel) string {
	if c.State != record.StateOK {
		return ""
	}
	const most = 8
	var parts []string
	for _, s := range c.Pinned[:min(len(c.Pinned), most)] {
		parts = append(parts, fmt.Sprintf("%d of %d KiB", s.Folios, s.Bytes>>10))
	}
	if len(c.Pinned) > most {
		parts = append(parts, "others")
	}
	return strings.Join(parts, ", ")
}

// seen is what each witness counted.
func seen(r *record.Record) (all []Fact) {
	add := func(when bool, name, format string, args ...any) {
		if when {
			all = append(all, Fact{name, fmt.Sprintf(format, args...)})
		}
	}
	c, s := r.Channels, r.Answers()
	asked := s.Fsync != "" && s.Fsync != record.NotAsked
	add(asked, "msync, fsync", "%s, %s", text(s.Msync), text(s.Fsync))
	add(c.Arrival.CorruptBytes > 0, "arrival", "%d bytes in %d of %s are not what was sent", c.Arrival.CorruptBytes, c.Arrival.CorruptPages, count(c.Arrival.CheckedPages, "page"))
	d := c.Disk
	add(d.State == record.StateOK && d.CheckedPages > 0, "disk", "%d of %s stale (not what was written last)%s", d.StalePages, count(d.CheckedPages, "page"), proof(d.FromDisk))
	add(c.Cache.State == record.StateOK && c.Cache.CheckedPages > 0, "page cache", "%d of %s stale", c.Cache.StalePages, count(c.Cache.CheckedPages, "page"))
	add(c.Clone.State == record.StateOK, "clone", "%d of %s changed%s", c.Clone.ChangedPages, count(c.Clone.CheckedPages, "page"), proof(c.Clone.FromDisk))
	p := c.Probes
	add(p.State == record.StateOK, "eBPF", "%s (%s) dirtied by the release, of these %d (%s) without buffers and %d not announced to the file system; %d more dirtied after they had left their file",
		count(p.DirtiedPages, "page"), count(p.DirtiedFolios, "folio"), p.BufferlessPages, count(p.BufferlessFolios, "folio"), p.UnannouncedPages, p.DetachedPages)
	add(c.Folios.State == record.StateOK && r.Scenario.Strip != "none", "kpageflags", "%s (%s of the region) had private data before the strip and none after it, pinned all the while",
		count(c.Folios.StrippedFolios, "folio"), count(c.Folios.StrippedPages, "page"))
	if w := c.WarningCount; w.Before != nil && w.After != nil {
		add(w.State == record.StateOK, "warning_count", "%d before, %d after", *w.Before, *w.After)
	}
	k := c.Kmsg
	add(k.State == record.StateOK, "kernel log", "%s of pages without buffers (rate-limited; %d more suppressed), %s of file systems, %s",
		count(k.BufferlessPages, "message"), k.Suppressed, count(k.Warnings, "warning"), plural(k.Oopses, "oops", "oopses"))
	a := c.Accounting
	add(a.State == record.StateOK && r.Verdict != record.Crashed, "nr_dirty", "%d before, %d after the release, %d after fsync (of the whole machine)", a.Before, a.Released, a.Settled)
	return all
}

func plural(n uint64, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

// proof says how it is known that bytes came from the disk.
func proof(d record.FromDisk) string {
	line := ""
	switch d.Proof {
	case record.ProofDirect:
		line = ", read past the page cache (O_DIRECT)"
	case record.ProofEvicted:
		line = ", read anew after they had gone from the page cache"
	}
	if d.UnprovenPages > 0 {
		line += fmt.Sprintf("; %d more could not be told from the page cache", d.UnprovenPages)
	}
	return line
}

// unrecorded is what neither runs nor observers record of a kernel.
func unrecorded(version string) string {
	patches := "whether it carries patches"
	if strings.Contains(version, "Debian") {
		patches = "what Debian's patches change"
	}
	return "The kernel's configuration, its command line and the hardware were not recorded, nor " + patches + "."
}

// unknown is what the evidence does not tell.
func unknown(r *record.Record, stacks []Stack) (all []string) {
	add := func(when bool, format string, args ...any) {
		if when {
			all = append(all, sayf(format, args...))
		}
	}
	c := r.Channels
	all = append(all, unrecorded(r.Host.Version),
		"It is one run on one kernel: what mainline, or another version, does was not tried in it.")
	add(slices.Contains(ofRange, r.Scenario.Mutation) && r.Verdict != record.Clean,
		"The mapped range itself was changed (%s) while its pages were pinned. Whether what arrives after that has to be kept, the evidence cannot tell.", r.Scenario.Mutation)
	crashed := r.Verdict == record.Crashed
	add(crashed && c.Disk.State != record.StateOK, "What is on the disk was not read: the kernel died before.")
	for _, w := range []struct{ name, state, why string }{
		{"eBPF", c.Probes.State, c.Probes.Why}, {"The kernel's log", c.Kmsg.State, c.Kmsg.Why},
		{"kpageflags", c.Folios.State, c.Folios.Why}, {"The page cache", c.Cache.State, c.Cache.Why},
	} {
		why := ""
		if w.why != "" {
			why = " (" + text(w.why) + ")"
		}
		add(w.state == record.StateFailed, "%s was watched, and not to the end%s.", w.name, why)
		add(w.state == record.StateAbsent && !crashed, "%s was not watched%s.", w.name, why)
	}
	add(c.Probes.LostEvents > 0 || c.Probes.LostCounts > 0, "eBPF missed %d events, and %d pages or releases in its counts.", c.Probes.LostEvents, c.Probes.LostCounts)
	stripped := c.Folios.StrippedFolios > 0 || c.Probes.BufferlessPages > 0
	add(stripped && !slices.ContainsFunc(stacks, func(s Stack) bool { return s.Of == ofStrip }), "The stack in which the pages lost their private data (buffers, on ext4) was not recorded.")
	add(returnProbe(stacks), endsAtProbe)
	add(c.Probes.State == record.StateOK && !slices.ContainsFunc(stacks, func(s Stack) bool { return s.Of != ofWait }), "No stack of the release was recorded.")
	return all
}

const endsAtProbe = "A stack ends at kretprobe_trampoline, a return probe of the observer's own: its callers are not known."

// returnProbe says whether a stack ends where a probe of ours has the function return to.
func returnProbe(stacks []Stack) bool {
	return slices.ContainsFunc(stacks, func(s Stack) bool {
		return strings.HasPrefix(s.Frames[len(s.Frames)-1], "kretprobe_trampoline")
	})
}

// What stacks are of.
const (
	ofRelease = "release"
	ofStrip   = "strip"
	ofDrop    = "drop"
	ofWait    = "wait" // of a call that nobody woke
)

// stackOf tells it by the functions in it.
func stackOf(frames []string) string {
	has := func(names ...string) bool {
		return slices.ContainsFunc(frames, func(f string) bool {
			name, _, _ := strings.Cut(f, "+")
			return slices.Contains(names, name)
		})
	}
	switch {
	case has("try_to_free_buffers", "filemap_release_folio", "try_to_release_page"):
		return ofStrip
	case has("__ext4_warning_inode", "mpage_prepare_extent_to_map"):
		return ofDrop
	}
	return ofRelease
}

// sortedStacks are the numbers of stacks, those of releases first.
func sortedStacks(p record.ProbesChannel) []int32 {
	order := []string{ofRelease, ofStrip, ofDrop}
	ids := slices.Sorted(maps.Keys(p.Stacks))
	slices.SortStableFunc(ids, func(a, b int32) int {
		return slices.Index(order, stackOf(p.Stacks[a])) - slices.Index(order, stackOf(p.Stacks[b]))
	})
	return ids
}
