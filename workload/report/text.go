// Package report tells a person what a record says. It needs nothing but the record.
package report

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"umemstress/workload/internal/printable"
	"umemstress/workload/record"
	"umemstress/workload/remedy"
	"umemstress/workload/scenario"
)

// Text writes what was done, what each channel saw, what it means,
// where the evidence lies, and what to do now. Whatever it shows of a record, which may be anybody's, is text
// and nothing that a terminal obeys.
func Text(w io.Writer, r *record.Record, dir string) error {
	t := table{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
	t.row("verdict", "%s", strings.ToUpper(string(r.Verdict)))
	t.row("why", "%s", r.Reason)
	if v := r.Victim; v != nil {
		t.row("victim", "%s, the peer of the run on %s", v.Host, v.For)
	}
	t.row("kernel", "%s, %s", r.Kernel, r.Host.Version)
	t.row("scenario", "%s", scenarioLine(r.Scenario))
	t.choice(r.Choice)
	if r.Device.Name != "" {
		t.row("device", "%s (%s), through %s", r.Device.Name, r.Device.Driver, r.Device.Backend)
	}
	if r.Device.ConnectedBy == record.ConnectedByManager {
		t.row("connection", "made by the connection manager (rdma_cm) at %s", r.Device.ConnectedAt)
	}
	if p := r.Device.Peer; p != nil {
		t.row("peer", "%s: %s (%s), through %s", p.Host, p.Name, p.Driver, p.Backend)
	}
	for _, region := range r.Regions {
		t.row("region", "%s, %d pages (%d bytes)%s", region.Kind, region.Pages, region.Bytes, where(region, r)+registered(region, r.Settings))
	}
	if f := r.Channels.Folios; f.State != record.StateAbsent && f.State != "" || f.Why != "" {
		t.row("folios", "%s", foliosLine(r.Channels.Folios))
	}
	if r.Traffic.Seconds > 0 {
		t.row("traffic", "%s", trafficLine(r))
	}
	if r.Traffic.PeakBytesPerSecond > 0 {
		t.row("rate", "%s", rateLine(r.Traffic))
	}
	if l := r.Traffic.Latency; l != nil {
		t.row("latency", "%s", latencyLine(*l, r.Settings))
	}
	if line := arrivalLine(r.Channels.Arrival, r.Settings); line != "" {
		t.row("arrived", "%s", line)
	}
	t.row("phases", "%s", phaseLine(r.Phases))
	t.row("probes", "%s", probesLine(r))
	t.acts(r.Channels.Probes)
	t.row("kmsg", "%s", kmsgLine(r.Channels))
	t.row("disk", "%s", diskLine(r))
	t.more(r.Channels)
	if len(r.Disagreements) > 0 {
		t.row("disagreement", "%s", strings.Join(r.Disagreements, "; "))
	}
	if r.CleanupError != "" {
		t.row("left behind", "%s", r.CleanupError)
	}
	t.row("meaning", "%s", meaning(r))
	t.row("evidence", "%s", dir)
	if r.Verdict.ExitCode() >= record.Exposed.ExitCode() {
		t.now(remedy.For(Trouble(r)))
	}
	return t.Flush()
}

// table is lines of a name and what there is to say of it.
type table struct{ *tabwriter.Writer }

func (t table) row(name, format string, args ...any) {
	fmt.Fprintf(t, "%s\t%s\n", name, printable.Text(fmt.Sprintf(format, args...)))
}

func scenarioLine(s scenario.Scenario) string {
	line := fmt.Sprintf("holder %s, file system %s, strip %s, mutation %s", s.Holder, s.Filesystem, s.Strip, s.Mutation)
	if s.Folios != "" {
		line += ", folios " + s.Folios
	}
	return line
}

// foliosLine tells of the folios that the pinned pages are in, smallest first.
func foliosLine(c record.FoliosChannel) string {
	if c.State != record.StateOK {
		return stateLine(c.State, c.Why)
	}
	var parts []string
	for _, s := range c.Pinned {
		parts = append(parts, fmt.Sprintf("%d of %d KiB", s.Folios, s.Bytes>>10))
	}
	line := strings.Join(parts, ", ")
	if c.StrippedFolios > 0 {
		line += fmt.Sprintf("; %d of them, with %d pages of the region, stripped while pinned", c.StrippedFolios, c.StrippedPages)
	}
	return line
}

func trafficLine(r *record.Record) string {
	t, of := r.Traffic, ""
	if verb := r.Settings.Verb; r.Scenario.Holder == "rdma" && verb != "" && verb != "write" {
		of = " of " + verb
	}
	if c := r.Settings.Connection; r.Scenario.Holder == "rdma" && c != "" && c != "RC" {
		of += " over " + c
	}
	if r.Settings.SRQ {
		of += ", received from a shared receive queue"
	}
	line := fmt.Sprintf("%d operations%s, %d bytes in %.2f s", t.Operations, of, t.Bytes, t.Seconds)
	if t.Attempts > 0 {
		line += fmt.Sprintf("; %d of %d calls held their pages all the while", t.Held, t.Attempts)
	}
	return line
}

// registered says of memory regions how they came and went, where that is not as usual.
func registered(region record.Region, s record.Settings) string {
	how := map[string]string{
		"parallel": "by several threads at once",
		"exit":     "by the end of the process that had them",
		"kill":     "by a kill of the process that had them",
	}[s.Release]
	if region.Kind != record.RegionFile || s.Regions < 2 && how == "" && !s.OnDemand && !s.Windows && s.Rereg == "" && s.Access != "read" {
		return ""
	}
	as := "one memory region"
	if s.Regions > 1 {
		as = fmt.Sprintf("%d memory regions", s.Regions)
	}
	if s.OnDemand {
		as += ", paged on demand"
	}
	switch s.Rereg {
	case "access":
		as += ", re-registered for writing before the first write"
	case "memory":
		as += ", re-registered over its memory after the first write"
	}
	if s.Windows {
		as += ", reached through memory windows"
		if s.WindowType == 2 {
			as += " of type 2"
		}
	}
	if s.Access == "read" {
		as += ", which the device may only read"
	}
	return fmt.Sprintf(", as %s, released %s", as, cmp.Or(how, "one after the other"))
}

func where(region record.Region, r *record.Record) string {
	file := r.File
	switch {
	case region.Kind != record.RegionFile && r.Device.Peer != nil:
		return ", of the peer"
	case region.Kind != record.RegionFile:
		return ""
	case file.Bytes > int64(region.Bytes):
		return fmt.Sprintf(" from byte %d on of %d", region.Offset, file.Bytes) + place(file)
	}
	return place(file)
}

// place says where a file is.
func place(file record.File) string {
	switch {
	case file.Scratch && file.Device == "": // of memory alone, or btrfs
		return ", on a scratch file system"
	case file.Scratch:
		return fmt.Sprintf(", on a scratch file system on %s", file.Device)
	case file.Device == "":
		return ", " + file.Path
	}
	return fmt.Sprintf(", %s on %s", file.Path, file.Device)
}

func phaseLine(phases []record.Phase) string {
	var parts []string
	for _, p := range phases {
		part := fmt.Sprintf("%s %.2fs", p.Name, p.Seconds)
		if p.Outcome != record.OutcomeDone {
			part += " (" + p.Outcome + waitedFor(p) + ")"
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}

// waitedFor says how long a mutation waited for the holder.
func waitedFor(p record.Phase) string {
	if p.WaitedSeconds == 0 {
		return ""
	}
	woken := ""
	if p.Unwoken {
		woken = ", until a signal woke it"
	}
	return fmt.Sprintf(" for the holder, %.2fs in all%s", p.WaitedSeconds, woken)
}

func probesLine(r *record.Record) string {
	c := r.Channels.Probes
	if c.State != record.StateOK {
		return stateLine(c.State, c.Why)
	}
	line := fmt.Sprintf("%d buffer-less pages, %d unannounced, of %d dirtied by the release",
		c.BufferlessPages, c.UnannouncedPages, c.DirtiedPages)
	if c.DirtiedFolios > 0 && c.DirtiedFolios != c.DirtiedPages {
		line += fmt.Sprintf(" (%d and %d folios)", c.BufferlessFolios, c.DirtiedFolios)
	}
	if c.DetachedPages > 0 {
		line += fmt.Sprintf("; %d dirtied after they had been taken from a file", c.DetachedPages)
	}
	if r.Facts != nil && r.Facts.LeftClean == scenario.LeftCleanAll && c.DirtiedPages == 0 {
		line += ", since this kernel marks none of its pages: no event tells of them, nor does observe"
	}
	if owners := ownersOf(c.Acts); owners != "" {
		line += "; pinned by " + owners
	}
	if c.LostEvents > 0 || c.LostCounts > 0 {
		line += fmt.Sprintf(" (lost: %d events, %d counts)", c.LostEvents, c.LostCounts)
	}
	if c.Why != "" {
		line += "; " + c.Why
	}
	return line
}

// kmsgLine tells of the log and of ext4's count, either of which may be there alone.
func kmsgLine(c record.Channels) string {
	line := stateLine(c.Kmsg.State, c.Kmsg.Why)
	if c.Kmsg.State == record.StateOK {
		line = fmt.Sprintf("%d messages of pages without buffers (%d more suppressed), %d warnings",
			c.Kmsg.BufferlessPages, c.Kmsg.Suppressed, c.Kmsg.Warnings)
		if c.Kmsg.Oopses > 0 {
			line += fmt.Sprintf(", %d oopses, of which %d in threads of this run", c.Kmsg.Oopses, c.Kmsg.OwnOopses)
		}
	}
	if rise, known := c.WarningRise(); known {
		line += fmt.Sprintf("; warning_count rose by %d", rise)
	} else if c.WarningCount.State == record.StateFailed {
		line += "; warning_count failed: " + c.WarningCount.Why
	}
	return line
}

func diskLine(r *record.Record) string {
	c, settled := r.Channels.Disk, r.Answers()
	if c.State != record.StateOK {
		return stateLine(c.State, c.Why)
	}
	line := fmt.Sprintf("%d of %d pages stale after msync %s, fsync %s", c.StalePages, c.CheckedPages, settled.Msync, settled.Fsync)
	if c.StalePages > 0 {
		line += fmt.Sprintf("; %d hold exactly what was written before", c.OldPages)
	}
	if c.UnprovenPages > 0 {
		line += fmt.Sprintf("; %d more could not be told from the page cache", c.UnprovenPages)
	}
	return line
}

// more tells of the channels that not every run has something to say of.
func (t table) more(c record.Channels) {
	if c.Clone.State == record.StateOK {
		t.row("clone", "%d of %d pages changed since it was taken", c.Clone.ChangedPages, c.Clone.CheckedPages)
	} else if c.Clone.State == record.StateFailed {
		t.row("clone", "%s", stateLine(c.Clone.State, c.Clone.Why))
	}
	if c.Cache.State == record.StateOK {
		t.row("cache", "%d of %d pages stale", c.Cache.StalePages, c.Cache.CheckedPages)
	}
	if a := c.Accounting; a.State == record.StateOK {
		t.row("accounting", "%d pages of this machine dirty before, %d after the release, %d after fsync (%d more)", a.Before, a.Released, a.Settled, a.Leaked())
	}
}

func stateLine(state, why string) string {
	if why == "" {
		return state
	}
	return state + ": " + why
}
