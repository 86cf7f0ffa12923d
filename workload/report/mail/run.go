package mail

import (
	"cmp"
	"fmt"
	"strings"

	"umemstress/probes/kmsg"
	"umemstress/workload/record"
	"umemstress/workload/report"
	"umemstress/workload/scenario"
)

// FromRun is the report of a run that was judged, with what the kernel's log says beside it. It is a
// [NothingError] where the run has nothing to report.
func FromRun(r *record.Record, quotes []Quote) (*Report, error) {
	found, isDefect := defectOf(r)
	if why := nothing(r); why != "" && !isDefect {
		return nil, &NothingError{why}
	}
	s := r.Scenario
	m := &Report{Schema: Schema, Of: OfRun, Tool: text(r.Tool), Effect: r.Verdict, Quotes: quotes}
	t := report.Trouble(r)
	about, own := s.Filesystem, sectionOf(s.Filesystem)
	if holders := actorOf(s.Holder).sections; t.LeftClean != scenario.LeftCleanNone && len(holders) > 0 { // it left out something
		about, own = s.Holder, holders[0]
	}
	m.Subject = subjectOf(r.Verdict, about, actorOfRun(r).brings, s.Strip, s.Mutation, r.Answers().Fsync)
	if d, ok := r.Blamed(); ok && r.Verdict == record.Crashed {
		m.Subject = fmt.Sprintf("[BUG] %s: %s", prefix(s.Filesystem), died(d, s))
	}
	if isDefect {
		m.tell(found)
	} else {
		m.address(own, s.Filesystem, s.Holder)
		m.fixes(t)
		m.Symptom = symptom(r)
	}
	m.Done = done(r)
	m.Commands = commands(r, t)
	m.Facts = facts(r)
	m.Seen = seen(r)
	for _, id := range sortedStacks(r.Channels.Probes) {
		frames := r.Channels.Probes.Stacks[id]
		m.stack(stackOf(frames), frames)
	}
	for _, p := range r.Phases[:min(len(r.Phases), len(scenario.Phases()))] {
		m.stack(ofWait, p.UnwokenStack)
	}
	for _, d := range r.Disagreements[:min(len(r.Disagreements), maxDoubts)] {
		m.Doubts = append(m.Doubts, text(d)+".")
	}
	m.Unknown = unknown(r, m.Stacks)
	return m, nil
}

// nothing says why there is nothing to report; "" where there is.
func nothing(r *record.Record) string {
	switch r.Verdict {
	case record.Clean:
		return "the run ended clean, so there is nothing to report"
	case record.Refused:
		return "the kernel refused the pin, which is the fix, so there is nothing to report"
	case record.Inconclusive:
		return sayf("the run is inconclusive, which is nothing to report (%s); run it again", r.Reason)
	}
	return ""
}

// died is the death for a subject: the kernel's words, and the function nearest to it that meets
// such pages.
func died(d record.Death, s scenario.Scenario) string {
	said, _, _ := strings.Cut(strings.TrimPrefix(d.Said, "BUG: "), ", address: ")
	if l := kmsg.Classify(d.Said); l.Kind == kmsg.Warning && l.File != "" { // of which the machine died
		said = fmt.Sprintf("WARNING at %s:%d, and panic_on_warn", l.File, l.Number)
	}
	at := d.Place
	for _, f := range append([]string{d.Place}, d.Calls...) {
		if strings.HasPrefix(f, prefix(s.Filesystem)+"_") || strings.HasPrefix(f, "mpage_") {
			at = f
			break
		}
	}
	if at == "" {
		return text(said)
	}
	return sayf("%s, in %s()", said, at)
}

// symptom says what happened and what it is worth, the worst first.
func symptom(r *record.Record) []string {
	where := fmt.Sprintf("On %s, with ", text(r.Kernel))
	brings, fs := actorOfRun(r).brings, text(r.Scenario.Filesystem)
	c := r.Channels
	var all []string
	switch r.Verdict {
	case record.DataLost:
		all = []string{where + fmt.Sprintf("%s, what %s put into a shared mapping of a file is lost: msync() and fsync() returned 0 afterwards, and %s. %s",
			fs, withArticle(brings), onDisk(r), whereabouts(r))}
	case record.Corrupted:
		all = []string{where + fmt.Sprintf("%s, %d of %d pages of a reflink copy changed after it had been taken, though nobody wrote to it: the original was pinned meanwhile, and %s brought new bytes into a shared mapping of it.",
			fs, c.Clone.ChangedPages, c.Clone.CheckedPages, withArticle(brings))}
	default:
		all = []string{where + fmt.Sprintf("%s and %s into a shared mapping of a file: %s.", fs, withArticle(brings), reason(r))}
	}
	if how := dirtied(r); how != "" && (r.Verdict == record.DataLost || r.Verdict == record.Corrupted) {
		all = append(all, how)
	}
	return all
}

// reason is why the verdict is what it is.
func reason(r *record.Record) string {
	return strings.NewReplacer(" ← ", " <- ", "this run", "the test program", "the probes", "eBPF").Replace(strings.TrimSuffix(text(r.Reason), "."))
}

func withArticle(brings string) string {
	switch {
	case strings.HasPrefix(brings, "O_") || strings.HasPrefix(brings, "RDMA"):
		return "an " + brings
	}
	return brings
}

// onDisk says what is there.
func onDisk(r *record.Record) string {
	d := r.Channels.Disk
	if d.State != record.StateOK {
		return reason(r)
	}
	line := fmt.Sprintf("%d of %d pages on disk are not what was written", d.StalePages, d.CheckedPages)
	switch {
	case d.OldPages == d.StalePages:
		line += ": each holds what was there before"
	case d.OldPages > 0:
		line += fmt.Sprintf(": %d of them hold what was there before", d.OldPages)
	}
	return line
}

// whereabouts says where the lost bytes are.
func whereabouts(r *record.Record) string {
	switch c := r.Channels.Cache; {
	case c.State != record.StateOK:
		return "Whether the page cache has the right bytes was not seen."
	case c.StalePages == 0:
		return "The page cache has the right bytes, until it drops the pages."
	default:
		return fmt.Sprintf("Nor does the page cache have them: %d of %d pages are wrong there, too.", c.StalePages, c.CheckedPages)
	}
}

// dirtied says how the pages were found to be dirtied.
func dirtied(r *record.Record) string {
	p := r.Channels.Probes
	detached := uint64(0)
	if r.Facts != nil && r.Facts.Detaches {
		detached = p.DetachedPages
	}
	in := func(folios uint64) string {
		if folios == 0 || folios == p.DirtiedPages || folios == p.BufferlessPages {
			return ""
		}
		return ", in " + count(folios, "folio") + ","
	}
	which, leftClean := r.LeftClean()
	switch {
	case p.State != record.StateOK:
		return ""
	case p.BufferlessPages > 0:
		return fmt.Sprintf("At the release, %s%s were marked dirty that had no buffers attached (seen by eBPF).", count(p.BufferlessPages, "page"), in(p.BufferlessFolios))
	case detached > 0:
		return fmt.Sprintf("At the release, %s were marked dirty that had been taken from their file (seen by eBPF).", count(detached, "page"))
	case which == scenario.LeftCleanAll:
		return fmt.Sprintf("At the release, none of %d pages was marked dirty (eBPF saw %s marked).", r.Channels.Disk.CheckedPages, count(p.DirtiedPages, "page"))
	case which == scenario.LeftCleanLarge:
		return fmt.Sprintf("At the release, %s of %d, those in large folios, were not marked dirty at all (eBPF saw %s marked).", count(leftClean, "page"), r.Channels.Disk.CheckedPages, count(p.DirtiedPages, "page"))
	case p.UnannouncedPages > 0:
		return fmt.Sprintf("At the release, %s%s were marked dirty that were clean, so that the file system had not been told of a write since it wrote them back (seen by eBPF).",
			count(p.UnannouncedPages, "page"), in(p.DirtiedFolios))
	}
	return fmt.Sprintf("At the release, %s went from clean to dirty (seen by eBPF).", count(p.DirtiedPages, "page"))
}

// done are the steps that were made.
func done(r *record.Record) []string {
	s, a := r.Scenario, actorOfRun(r)
	device := sayf("%s (%s)", r.Device.Name, cmp.Or(r.Device.Driver, "?"))
	to := func(step string) string { return strings.ReplaceAll(step, "%s", device) }
	steps := map[string]string{
		scenario.PhasePrepare:    mapStep(r),
		scenario.PhasePin:        to(a.pin),
		scenario.PhaseWrite:      to(a.write) + goesOn(r.Settings),
		scenario.PhaseClean:      "msync(MS_SYNC), which cleans the pages.",
		scenario.PhaseStrip:      told(strips, s.Strip).step,
		scenario.PhaseMutate:     told(mutations, s.Mutation).step,
		scenario.PhaseWriteAgain: to(a.again),
		scenario.PhaseRelease:    to(a.release),
		scenario.PhaseSettle:     "msync(MS_SYNC), fsync().",
		scenario.PhaseVerify:     "Take the pages from the page cache and read each back from the disk.",
	}
	if r.Facts != nil && r.Facts.DAX {
		steps[scenario.PhaseVerify] = "Read each page back from the device."
	}
	var all []string
	unwoken := false
	for _, p := range r.Phases[:min(len(r.Phases), len(steps))] {
		step := steps[p.Name]
		unwoken = unwoken || p.Unwoken
		switch {
		case p.Outcome == record.OutcomeWaits:
			step += " It does not return: it waits for the pages to be let go of."
		case p.Name == scenario.PhaseRelease && unwoken:
			step += " Who waits is not woken, and has not returned 5 s later. Send it a signal: it looks again, and is done."
		case p.Outcome != record.OutcomeDone:
			step = strings.TrimSpace(cmp.Or(step, text(p.Name)+".") + " " + sayf("Here: %s.", p.Outcome))
		}
		if step != "" {
			all = append(all, step)
		}
	}
	return all
}

// goesOn says for how long the traffic does, if it goes by time.
func goesOn(s record.Settings) string {
	if s.Seconds <= 0 {
		return ""
	}
	line := fmt.Sprintf(" This goes on for %d s", s.Seconds)
	if s.Bidirectional {
		line += ", both ways"
	}
	return line + ", and through the next steps."
}

// mapStep says what is mapped, and in what folios it is.
func mapStep(r *record.Record) string {
	what, how := "a file", ""
	if file := region(r, record.RegionFile); r.File.Bytes > int64(file.Bytes) {
		what = "a part of a file"
	}
	switch r.Scenario.Folios {
	case "large":
		how = "; large folios hold it"
	case "single":
		how = " after MADV_RANDOM; folios of one page hold it"
	}
	return fmt.Sprintf("mmap() %s on %s MAP_SHARED and touch it%s.", what, text(r.Scenario.Filesystem), how)
}
