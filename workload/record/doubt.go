package record

import (
	"fmt"
	"regexp"
	"slices"

	"umemstress/workload/scenario"
)

// doubt says why a record cannot be believed, if it cannot: it has a word that this version
// does not know, or tells of things that cannot all have happened. Evidence may come from
// anybody, and what is not understood must not count as nothing.
func doubt(r *Record) string {
	for _, look := range []func(*Record) string{strangeState, strangePhase, strangeAnswer, strangeFacts, noDisk, tooEarly, tooMany, strangeProbes} {
		if why := look(r); why != "" {
			return why
		}
	}
	return ""
}

// channelState is the state of one channel.
type channelState struct {
	name, state string
	after       string // the phase that gives it something to say; "": none
	since       bool   // it came to this schema later, so it may be missing
}

func (c Channels) states() []channelState {
	return []channelState{
		{"probes", c.Probes.State, scenario.PhasePrepare, false},
		{"kmsg", c.Kmsg.State, scenario.PhasePrepare, false},
		{"disk", c.Disk.State, scenario.PhaseVerify, false},
		{"clone", c.Clone.State, scenario.PhaseVerify, false},
		{"cache", c.Cache.State, scenario.PhaseVerify, true},
		{"warning_count", c.WarningCount.State, scenario.PhasePrepare, true},
		{"accounting", c.Accounting.State, scenario.PhasePrepare, true},
		{"folios", c.Folios.State, scenario.PhasePin, true},
		{"arrival", c.Arrival.State, scenario.PhaseWrite, true},
		{"console", c.Console.State, "", true},
	}
}

func strangeState(r *Record) string {
	for _, c := range r.Channels.states() {
		switch c.state {
		case StateOK, StateAbsent, StateFailed:
			continue
		case "":
			if c.since {
				continue
			}
		}
		return fmt.Sprintf("channel %s is in the state %q, which this version does not know", c.name, c.state)
	}
	return ""
}

// outcomes are all that a phase can come to.
var outcomes = []string{
	OutcomeRunning, OutcomeDone, OutcomeWaits, OutcomeRefused, OutcomeIneffective, OutcomeFailed, OutcomeInterrupted, OutcomeCrashed,
}

func strangePhase(r *Record) string {
	due := scenario.Phases()
	for i, p := range r.Phases {
		switch {
		case i >= len(due):
			return fmt.Sprintf("phase %q is recorded after the last one", p.Name)
		case p.Name != due[i]:
			return fmt.Sprintf("phase %q is recorded where %s is due", p.Name, due[i])
		case !slices.Contains(outcomes, p.Outcome):
			return fmt.Sprintf("phase %s has the outcome %q, which this version does not know", p.Name, p.Outcome)
		case p.Outcome == OutcomeWaits && p.Name != scenario.PhaseMutate:
			return fmt.Sprintf("phase %s has the outcome %s, which that of a mutation alone can have", p.Name, p.Outcome)
		case !p.Complete() && i < len(r.Phases)-1:
			return fmt.Sprintf("phase %s has the outcome %s, and yet another phase followed it", p.Name, p.Outcome)
		}
	}
	return ""
}

// anAnswer is one of msync or fsync: no error, an error's name, or that it was not asked.
var anAnswer = regexp.MustCompile(`^(0|E[A-Z0-9]+|` + NotAsked + `|)$`)

func strangeAnswer(r *Record) string {
	settled := r.Answers()
	for _, c := range [][2]string{{"msync", settled.Msync}, {"fsync", settled.Fsync}} {
		if !anAnswer.MatchString(c[1]) {
			return fmt.Sprintf("%s answered %q, which is no error's name", c[0], c[1])
		}
	}
	return ""
}

func strangeFacts(r *Record) string {
	if r.Facts == nil || r.Facts.LeftClean.Known() {
		return ""
	}
	return fmt.Sprintf("the holder is said to leave %q of its pages clean, which this version does not know", r.Facts.LeftClean)
}

// noDisk looks for what was read from the disk of a file system that has none.
func noDisk(r *Record) string {
	if state := r.Channels.Disk.State; r.Facts != nil && r.Facts.InMemory && state != StateAbsent {
		return fmt.Sprintf("channel disk is %s, and yet the file system has no disk", state)
	}
	return ""
}

// ended says whether a phase came to an end, whatever its outcome.
func (r *Record) ended(name string) bool {
	p, ok := r.phase(name)
	return ok && p.Outcome != OutcomeRunning
}

// tooEarly looks for what is told of phases that did not take place.
func tooEarly(r *Record) string {
	for _, c := range r.Channels.states() {
		if (c.state == StateOK || c.state == StateFailed) && c.after != "" && !r.ended(c.after) {
			return fmt.Sprintf("channel %s is %s, and yet phase %s, before which it has nothing to tell, did not end", c.name, c.state, c.after)
		}
	}
	if r.Answers() != (Settled{}) && !r.ended(scenario.PhaseSettle) {
		return "fsync is said to have answered, and yet phase settle did not end"
	}
	return ""
}

// tooMany looks for more pages than there are.
func tooMany(r *Record) string {
	c, pages := r.Channels, r.regionPages()
	for _, n := range []struct {
		state     string
		what      string
		some, all uint64
		of        string
	}{
		{c.Disk.State, "checked on disk", c.Disk.CheckedPages, pages, "of the region"},
		{c.Disk.State, "stale on disk", c.Disk.StalePages, c.Disk.CheckedPages, "that were checked"},
		{c.Disk.State, "old on disk", c.Disk.OldPages, c.Disk.StalePages, "that are stale"},
		{c.Cache.State, "checked in the page cache", c.Cache.CheckedPages, pages, "of the region"},
		{c.Cache.State, "stale in the page cache", c.Cache.StalePages, c.Cache.CheckedPages, "that were checked"},
		{c.Arrival.State, "corrupt as they arrived", c.Arrival.CorruptPages, min(2*pages, c.Arrival.CheckedPages), "that were looked at then"},
		{c.Arrival.State, "found to begin with bytes that belong further on in them", c.Arrival.DisplacedPages, c.Arrival.CheckedPages, "that were looked at then"},
		{c.Clone.State, "checked in the clone", c.Clone.CheckedPages, pages, "of the region"},
		{c.Clone.State, "changed in the clone", c.Clone.ChangedPages, c.Clone.CheckedPages, "that were checked"},
	} {
		if n.state == StateOK && n.some > n.all {
			return fmt.Sprintf("%d pages are %s, and yet there are %d %s", n.some, n.what, n.all, n.of)
		}
	}
	return ""
}

// regionPages is how many pages of the file were pinned.
func (r *Record) regionPages() uint64 {
	for _, region := range r.Regions {
		if region.Kind == RegionFile {
			return uint64(max(region.Pages, 0))
		}
	}
	return 0
}
