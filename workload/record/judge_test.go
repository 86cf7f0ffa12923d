package record

import (
	"strings"
	"testing"

	"umemstress/workload/scenario"
)

// The states that each part of a record can be in. Judge must give the right
// verdict on every combination.
var (
	probesStates = map[string]ProbesChannel{
		"absent":      {State: StateAbsent, Why: "no BTF"},
		"failed":      {State: StateFailed, Why: "ring broke", BufferlessPages: 9},
		"nothing":     {State: StateOK},
		"unannounced": {State: StateOK, UnannouncedPages: 8, DirtiedPages: 8},
		"bufferless":  {State: StateOK, BufferlessPages: 8, UnannouncedPages: 8, DirtiedPages: 8},
		"detached":    {State: StateOK, DetachedPages: 8},
		"lossy":       {State: StateOK, LostCounts: 3},
	}
	kmsgStates = map[string]KmsgChannel{
		"absent":     {State: StateAbsent},
		"failed":     {State: StateFailed, BufferlessPages: 9},
		"nothing":    {State: StateOK, WarningsBefore: count(0), WarningsAfter: count(0)},
		"bufferless": {State: StateOK, BufferlessPages: 5, Suppressed: 1, WarningsBefore: count(1), WarningsAfter: count(9)},
		"log alone":  {State: StateOK, BufferlessPages: 5, Suppressed: 3},
		"other":      {State: StateOK, WarningsBefore: count(0), WarningsAfter: count(2)},
		"silent":     {State: StateOK}, // the log alone, which keeps back what is said too often
	}
	diskStates = map[string]DiskChannel{
		"absent":   {State: StateAbsent},
		"failed":   {State: StateFailed, Why: "EIO", CheckedPages: 4, StalePages: 4, Msync: "0", Fsync: "0"},
		"intact":   {State: StateOK, CheckedPages: 8, Msync: "0", Fsync: "0"},
		"stale":    {State: StateOK, CheckedPages: 8, StalePages: 8, Msync: "0", Fsync: "0"},
		"reported": {State: StateOK, CheckedPages: 8, StalePages: 8, Msync: "0", Fsync: "EIO"},
		"unsynced": {State: StateOK, CheckedPages: 8, Msync: "EIO", Fsync: "0"},
		"empty":    {State: StateOK, Msync: "0", Fsync: "0"},
	}
	cloneStates = map[string]CloneChannel{
		"absent":  {State: StateAbsent},
		"intact":  {State: StateOK, CheckedPages: 8},
		"changed": {State: StateOK, CheckedPages: 8, ChangedPages: 2},
		"failed":  {State: StateFailed, ChangedPages: 2},
	}
	phaseStates = map[string][]Phase{
		"done":        phasesUntil("", ""),
		"refused":     phasesUntil(scenario.PhasePin, OutcomeRefused),
		"ineffective": phasesUntil(scenario.PhaseStrip, OutcomeIneffective),
		"died":        phasesUntil(scenario.PhaseSettle, OutcomeRunning),
		"interrupted": phasesUntil(scenario.PhaseWrite, OutcomeInterrupted),
		"failed":      phasesUntil(scenario.PhaseVerify, OutcomeFailed),
		"none":        nil,
	}
)

func count(n uint64) *uint64 { return &n }

// phasesUntil are phases that were done, up to one with another outcome.
func phasesUntil(last, outcome string) []Phase {
	var phases []Phase
	for _, name := range scenario.Phases() {
		if name == last {
			return append(phases, Phase{Name: name, Outcome: outcome, Detail: "because"})
		}
		phases = append(phases, Phase{Name: name, Outcome: OutcomeDone})
	}
	return phases
}

// knownFacts are those of the file systems here.
var knownFacts = map[string]scenario.Facts{"ext4": {DropsBufferless: true, Heals: true}, "xfs": {}}

func record(fs, phases, probes, kmsg, disk, clone string) *Record {
	facts := knownFacts[fs]
	return &Record{
		Facts:    &facts,
		Scenario: scenario.Scenario{Holder: "rdma", Filesystem: fs, Strip: "pageout", Mutation: "none"},
		Regions:  []Region{{Kind: RegionFile, Bytes: 8 << 12, Pages: 8}},
		Phases:   phaseStates[phases],
		Channels: Channels{Probes: probesStates[probes], Kmsg: kmsgStates[kmsg], Disk: diskStates[disk], Clone: cloneStates[clone]},
	}
}

// expected says in its own words, not in Judge's, what a combination amounts to.
func expected(fs, phases, probes, kmsg, disk, clone string) Verdict {
	kmsgSaw := kmsg == "bufferless" || kmsg == "log alone"
	bufferless := probes == "bufferless" || kmsgSaw
	untold := probes == "unannounced" // detached pages are not known to be this run's: see TestJudgeDetached
	couldBeCounted := fs == "ext4"    // XFS says nothing of such pages
	somebodySawNothing := probes == "nothing" || probes == "detached" || couldBeCounted && kmsg == "nothing"
	watched := probes != "absent" || kmsg != "absent"
	read := disk != "absent" || clone != "absent"
	switch {
	case phases == "none" && watched, phases != "done" && phases != "failed" && read:
		return Inconclusive // nobody can tell of a phase that did not take place
	case clone == "changed":
		return Corrupted
	case disk == "stale" && (bufferless || untold || !somebodySawNothing):
		return DataLost
	case disk == "stale":
		return Inconclusive // the disk against a witness who saw nothing
	case bufferless:
		return Reproduced
	case disk == "reported" && untold:
		return Exposed
	case disk == "reported":
		return Inconclusive
	case untold && fs != "ext4":
		return Exposed
	case phases == "refused" && probes == "unannounced":
		return Inconclusive // refused, yet dirtied
	case phases == "refused" && (probes == "failed" || kmsg == "failed"):
		return Inconclusive // nobody can tell what a broken witness would have said
	case phases == "refused":
		return Refused
	case phases != "done":
		return Inconclusive
	case disk != "intact" || probes == "failed" || probes == "lossy" || clone == "failed" || kmsg == "failed":
		return Inconclusive
	case kmsg == "other":
		return Inconclusive // the file system warned of something
	}
	return Clean
}

func TestJudgeEveryCombination(t *testing.T) {
	n := 0
	for _, fs := range []string{"ext4", "xfs"} {
		for phases := range phaseStates {
			for probes := range probesStates {
				for kmsg := range kmsgStates {
					for disk := range diskStates {
						for clone := range cloneStates {
							n++
							r := record(fs, phases, probes, kmsg, disk, clone)
							got, why := Judge(r)
							if want := expected(fs, phases, probes, kmsg, disk, clone); got != want {
								t.Errorf("%s, phases %s, probes %s, kmsg %s, disk %s, clone %s: %s (%s), want %s",
									fs, phases, probes, kmsg, disk, clone, got, why, want)
							}
							if why == "" {
								t.Errorf("%s, phases %s, probes %s, kmsg %s, disk %s, clone %s: %s without a reason",
									fs, phases, probes, kmsg, disk, clone, got)
							}
						}
					}
				}
			}
		}
	}
	if n < 10000 {
		t.Errorf("only %d combinations", n)
	}
}

// Pages that were taken from their file are this run's where its mutation takes them,
// and then no file system makes up for them.
func TestJudgeDetached(t *testing.T) {
	for mutation, want := range map[string]Verdict{"punch": Exposed, "odirect-write": Exposed, "none": Clean, "reflink": Clean} {
		r := record("ext4", "done", "detached", "nothing", "intact", "intact")
		r.Scenario.Mutation = mutation
		r.Facts.Detaches = mutation == "punch" || mutation == "odirect-write"
		if got, why := Judge(r); got != want || (want == Exposed) != strings.Contains(why, "taken from their file") {
			t.Errorf("%s: %s (%s), want %s", mutation, got, why, want)
		}
	}
}

// The reason names who saw it and what did not happen.
func TestJudgeReasons(t *testing.T) {
	for name, c := range map[string]struct {
		record *Record
		want   []string
	}{
		"the whole proof":    {record("ext4", "done", "bufferless", "bufferless", "stale", "absent"), []string{"8 of 8", "the probes", "fsync returned 0"}},
		"without probes":     {record("ext4", "done", "absent", "bufferless", "stale", "absent"), []string{"8 pages", "warning_count"}},
		"log without count":  {record("ext4", "done", "absent", "log alone", "stale", "absent"), []string{"8 pages", "log"}},
		"a silent log":       {record("ext4", "done", "absent", "silent", "stale", "absent"), []string{"fsync returned 0"}},
		"disk stands alone":  {record("ext4", "done", "nothing", "nothing", "stale", "absent"), []string{"disagree", "probes and warning_count"}},
		"loss was reported":  {record("ext4", "done", "absent", "absent", "reported", "absent"), []string{"EIO"}},
		"disk failed":        {record("ext4", "done", "bufferless", "absent", "failed", "absent"), []string{"EIO", "cannot be excluded"}},
		"machine died":       {record("ext4", "died", "nothing", "nothing", "absent", "absent"), []string{"settle", "died"}},
		"died after dirtied": {record("ext4", "died", "bufferless", "nothing", "absent", "absent"), []string{"8 pages", "not read"}},
		"strip had no hold":  {record("ext4", "ineffective", "nothing", "nothing", "absent", "absent"), []string{"strip", "because"}},
		"kept buffers":       {record("ext4", "done", "unannounced", "nothing", "intact", "absent"), []string{"8 pages were dirtied", "for which ext4 makes up"}},
		"not watched":        {record("ext4", "done", "absent", "nothing", "intact", "absent"), []string{"not watched"}},
		"refusal":            {record("ext4", "refused", "nothing", "nothing", "absent", "absent"), []string{"because"}},
		"refused yet dirty":  {record("ext4", "refused", "unannounced", "nothing", "absent", "absent"), []string{"disagree", "8 pages"}},
	} {
		_, why := Judge(c.record)
		for _, want := range c.want {
			if !strings.Contains(why, want) {
				t.Errorf("%s: %q lacks %q", name, why, want)
			}
		}
	}
}
