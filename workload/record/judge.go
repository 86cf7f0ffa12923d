package record

import (
	"fmt"
	"strings"

	"umemstress/workload/scenario"
)

// Judge gives the verdict on a record and the reason in one sentence. It goes by
// what the phases did, what the channels recorded and the facts in the record, and by
// nothing else: not the kernel's version, nor anything of this machine.
func Judge(r *Record) (Verdict, string) {
	if why := doubt(r); why != "" {
		return Inconclusive, "the record cannot be believed: " + why
	}
	w := testimonyOf(r)
	if v, why, ok := judgeHarm(w); ok {
		return v, why
	}
	if why := unfinished(r); why != "" {
		if d, ok := w.death(); ok {
			return Inconclusive, fmt.Sprintf("%s; the kernel died of something else: %s", why, d.Where())
		}
		if p, ok := r.phase(scenario.PhasePin); ok && p.Outcome == OutcomeRefused {
			return judgeRefused(w, p)
		}
		return Inconclusive, why
	}
	return judgeHarmless(w)
}

// testimony gives the channels' counts with "not there" and "zero" told apart.
type testimony struct {
	Channels
	facts    scenario.Facts
	settled  Settled
	scenario scenario.Scenario
	pageSize int
	pages    uint64 // of the file that were pinned
	process  Process
	file     File
	waited   float64 // seconds that its mutation waited for the holder; 0: it did not
	unwoken  bool    // nobody woke it then
	gone     string  // in what the kernel ended a thread of the run; "": in nothing

	orDropped string // what else may be of bytes in flight
}

func testimonyOf(r *Record) testimony {
	w := testimony{Channels: r.Channels, settled: r.Answers(), scenario: r.Scenario, pageSize: r.Host.PageSize, pages: r.regionPages(), process: r.process(), file: r.File, gone: r.gone()}
	if c := r.Settings.Connection; c != "" && c != "RC" {
		w.orDropped = fmt.Sprintf(" or, as %s repeats nothing, dropped", c)
	}
	if r.Facts != nil {
		w.facts = *r.Facts
	}
	if mutated, waited := r.waited(); waited {
		w.waited, w.unwoken = mutated.WaitedSeconds, mutated.Unwoken
	}
	return w
}

// bufferless is the most that an intact channel saw of buffer-less dirty pages, and how
// it saw them; "" if none did. The kernel's own channels count folios. A warning of ext4
// counts only as far as messages say that it was about buffers, since warning_count
// counts every warning of the file system.
func (w testimony) bufferless() (what string) {
	const how = "dirtied with no buffers attached (seen by %s)"
	p := w.Probes
	switch {
	case p.State == StateOK && p.BufferlessPages > 0 && p.BufferlessFolios > 0 && p.BufferlessFolios != p.BufferlessPages:
		return fmt.Sprintf("%d pages, in %d folios, were "+how, p.BufferlessPages, p.BufferlessFolios, "the probes")
	case p.State == StateOK && p.BufferlessPages > 0:
		return fmt.Sprintf("%d pages were "+how, p.BufferlessPages, "the probes")
	case w.dropped() > 0: // by whom they had been dirtied was not seen
		return fmt.Sprintf("%d %s were dropped by writeback for want of buffers (seen by the probes)", w.dropped(), w.unit())
	case w.Kmsg.State != StateOK || w.Kmsg.BufferlessPages == 0:
		return ""
	}
	count, by := w.Kmsg.BufferlessPages+w.Kmsg.Suppressed, "the kernel's log"
	if rise, known := w.WarningRise(); known && rise > 0 {
		count, by = rise, "ext4's warning_count"
	}
	return fmt.Sprintf("%d %s were "+how, count, w.unit(), by)
}

// unit is what a warning of ext4 is about.
func (w testimony) unit() string {
	if large, _ := w.Folios.LargePages(w.pageSize); large > 0 {
		return "folios"
	}
	return "pages"
}

// deniedBy names the intact channels, other than the disk, that saw no page
// dirtied behind the file system's back, and could have seen one. The kernel's log is none of
// them: a WARN_ON_ONCE speaks once a boot, and of the messages that the rate limit swallows
// the log says so only before the next one, which may never come. What counts every warning
// is ext4's warning_count, on file systems whose code would have warned.
func (w testimony) deniedBy() string {
	var names []string
	if !w.facts.DAX && w.Probes.State == StateOK && w.Probes.LostCounts == 0 && w.Probes.UnannouncedPages == 0 && w.Probes.BufferlessPages == 0 && w.detached() == 0 {
		names = append(names, "probes")
	}
	if rise, known := w.WarningRise(); w.facts.DropsBufferless && known && rise == 0 && w.Kmsg.BufferlessPages == 0 && w.Kmsg.Warnings == 0 {
		names = append(names, "warning_count")
	}
	return strings.Join(names, " and ")
}

// judgeHarm looks for what went wrong, worst first. Harm that was witnessed
// stands even if a later phase did not happen.
func judgeHarm(w testimony) (Verdict, string, bool) {
	if why, ok := w.died(); ok {
		return Crashed, why, true
	}
	if w.Clone.State == StateOK && w.Clone.ChangedPages > 0 {
		return Corrupted, fmt.Sprintf("%d of %d pages of the clone changed after it was taken",
			w.Clone.ChangedPages, w.Clone.CheckedPages), true
	}
	if w.Disk.State == StateOK && w.Disk.StalePages > 0 {
		return judgeStale(w)
	}
	if w.facts.InMemory && w.Cache.State == StateOK && w.Cache.StalePages > 0 {
		return DataLost, fmt.Sprintf("%d of %d pages of the file are not what was written", w.Cache.StalePages, w.Cache.CheckedPages), true
	}
	if what := w.bufferless(); what != "" {
		return Reproduced, what + "; " + w.proof(), true
	}
	if what := w.untold(); what != "" && (w.detached() > 0 || !w.facts.Heals) {
		return Exposed, what + "; " + w.proof(), true
	}
	return "", "", false
}

// untold says what the probes saw of pages dirtied without their file system being
// told.
func (w testimony) untold() string {
	switch {
	case w.Probes.State != StateOK || w.facts.DAX: // where a mark tells nobody anything
		return ""
	case w.detached() > 0:
		return fmt.Sprintf("%d pages were dirtied after they had been taken from their file", w.detached())
	case w.Probes.UnannouncedPages > 0:
		return fmt.Sprintf("%d pages were dirtied without the file system being told", w.Probes.UnannouncedPages)
	}
	return ""
}

// detached is how many pages the probes saw dirtied after they had been taken from
// their file. Nobody knows any more which file that was, so they are this run's only
// where its mutation takes pages from its file.
func (w testimony) detached() uint64 {
	if w.Probes.State != StateOK || !w.facts.Detaches {
		return 0
	}
	return w.Probes.DetachedPages
}

// proof says what the bytes were found to be.
func (w testimony) proof() string {
	if !w.facts.InMemory {
		return w.diskClause()
	}
	if w.Cache.State != StateOK {
		return "the file was not read, so a loss cannot be excluded"
	}
	return fmt.Sprintf("all %d pages of the file are what was written", w.Cache.CheckedPages)
}

// judgeStale weighs stale pages on disk: data-lost needs fsync to have promised
// them, and no channel that watched and saw nothing may stand alone against it.
func judgeStale(w testimony) (Verdict, string, bool) {
	d := w.Disk
	stale := fmt.Sprintf("%d of %d pages on disk are not %s", d.StalePages, d.CheckedPages, w.wanted())
	bufferless := w.bufferless()
	untold := w.behind(bufferless)
	if !w.settled.Promised() {
		told := fmt.Sprintf("%s, but the loss was reported (msync %s, fsync %s)", stale, w.settled.Msync, w.settled.Fsync)
		switch {
		case bufferless != "":
			return Reproduced, told + "; " + untold, true
		case untold != "":
			return Exposed, told + "; " + untold, true
		}
		return Inconclusive, told, true
	}
	if untold != "" {
		return DataLost, fmt.Sprintf("msync and fsync returned 0, yet %s; %s", stale, untold), true
	}
	if denied := w.deniedBy(); denied != "" && w.scenario.Mutation == "none" {
		return Inconclusive, fmt.Sprintf("channels disagree: disk says that %s, %s saw no page dirtied behind the file system's back", stale, denied), true
	}
	return DataLost, "msync and fsync returned 0, yet " + stale, true
}

// wanted is what the pages on disk are to be: a mutation that takes pages from the file, and waited for
// the holder, came after all that was written.
func (w testimony) wanted() string {
	if w.waited > 0 && w.facts.Detaches {
		return "what " + w.scenario.Mutation + " leaves of the file"
	}
	return "what was written"
}

func (w testimony) diskClause() string {
	switch d := w.Disk; d.State {
	case StateOK:
		return fmt.Sprintf("all %d pages on disk are %s", d.CheckedPages, w.wanted())
	case StateFailed:
		return "the disk channel failed (" + w.Disk.Why + "), so a loss cannot be excluded"
	}
	return "the disk was not read, so a loss cannot be excluded"
}

// unfinished names the first phase that did not do its work.
func unfinished(r *Record) string {
	for _, name := range scenario.Phases() {
		p, ok := r.phase(name)
		switch {
		case !ok:
			return fmt.Sprintf("phase %s did not happen", name)
		case p.Complete():
		case p.Outcome == OutcomeRunning:
			return fmt.Sprintf("the evidence ends in phase %s: the process or the machine died there, or could write no more", name)
		default:
			return strings.TrimSuffix(fmt.Sprintf("phase %s: %s: %s", name, p.Outcome, p.Detail), ": ")
		}
	}
	return ""
}

// judgeRefused is reached when no channel saw harm.
func judgeRefused(w testimony, pin Phase) (Verdict, string) {
	if w.Probes.State == StateOK && w.Probes.DirtiedPages > 0 {
		return Inconclusive, fmt.Sprintf("channels disagree: the pin was refused, yet the probes saw %d pages of the file dirtied by a release", w.Probes.DirtiedPages)
	}
	if why := w.broken(); why != "" {
		return Inconclusive, "the pin was refused, but " + why
	}
	return Refused, pin.Detail
}

// judgeHarmless is reached when all phases were done and no channel saw harm.
func judgeHarmless(w testimony) (Verdict, string) {
	state, checked := w.Disk.State, w.Disk.CheckedPages
	if w.facts.InMemory {
		state, checked = w.Cache.State, w.Cache.CheckedPages
	}
	if state != StateOK {
		return Inconclusive, "nothing wrong was seen, but " + w.proof()
	}
	if what := w.corrupt(); what != "" {
		return Inconclusive, what
	}
	if checked == 0 {
		return Inconclusive, "no page of the file was checked"
	}
	if checked < w.pages {
		return Inconclusive, fmt.Sprintf("only %d of %d pages of the file were checked", checked, w.pages)
	}
	if !w.settled.Promised() {
		return Inconclusive, fmt.Sprintf("%s, but syncing them failed (msync %s, fsync %s)", w.proof(), w.settled.Msync, w.settled.Fsync)
	}
	if why := w.unseen(); why != "" {
		return Inconclusive, w.proof() + ", but " + why
	}
	if d, ok := w.death(); ok {
		return Inconclusive, fmt.Sprintf("%s, but the kernel died meanwhile of something else: %s", w.proof(), d.Where())
	}
	if rise, _ := w.WarningRise(); rise > 0 {
		return Inconclusive, fmt.Sprintf("%s, but the file system counted %d warnings of its own: see kmsg.log", w.proof(), rise)
	}
	return judgeUnharmed(w)
}

// corrupt says of bytes that they were corrupted in flight, before a file system had them.
func (w testimony) corrupt() string {
	a := w.Arrival
	if a.State != StateOK && a.State != StateFailed || a.CorruptBytes == 0 {
		return ""
	}
	where := ""
	if a.FirstCorrupt != nil {
		where = fmt.Sprintf(", the first at byte %d of the region", *a.FirstCorrupt)
	}
	return fmt.Sprintf("traffic corrupt: %d bytes of %d pages arrived other than they were sent%s; they were corrupted%s in flight, by what holds, its device or the link, so that of these pages the disk proves nothing",
		a.CorruptBytes, a.CorruptPages, where, w.orDropped)
}

// judgeUnharmed is reached when the bytes are right.
func judgeUnharmed(w testimony) (Verdict, string) {
	if w.waited > 0 {
		woken := ""
		if w.unwoken {
			woken = "; this kernel did not wake it when they were let go of, and without a signal of the run it would have waited on"
		}
		did := "shared"
		if w.facts.Detaches {
			did = "took"
		}
		return Clean, fmt.Sprintf("%s waited for the holder, %.1f s in all, and %s no page that was still pinned%s; %s", w.scenario.Mutation, w.waited, did, woken, w.proof())
	}
	if w.facts.DAX {
		return Clean, w.proof() + "; there is no page cache in which they could have been lost"
	}
	if w.Probes.State != StateOK {
		return Clean, w.proof() + "; without probes, how the pages were dirtied was not watched"
	}
	if w.Probes.LostCounts > 0 {
		return Inconclusive, fmt.Sprintf("%s, but the probes missed %d pages or whole releases", w.proof(), w.Probes.LostCounts)
	}
	if what := w.untold(); what != "" {
		return Clean, fmt.Sprintf("%s; %s, for which %s makes up", w.proof(), what, w.scenario.Filesystem)
	}
	return Clean, w.proof()
}
