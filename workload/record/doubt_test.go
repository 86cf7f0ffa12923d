package record

import (
	"math"
	"strings"
	"testing"

	"umemstress/workload/scenario"
)

// What a stranger may have put into a record, or a later version: it is said, and it is no
// verdict, whether the record would otherwise be of a loss or clean.
func TestStrangeRecords(t *testing.T) {
	for want, change := range map[string]func(*Record){
		`channel probes is in the state "garbage"`:           func(r *Record) { r.Channels.Probes.State = "garbage" },
		`channel probes is in the state ""`:                  func(r *Record) { r.Channels.Probes.State = "" },
		`channel disk is in the state "OK"`:                  func(r *Record) { r.Channels.Disk.State = "OK" },
		`channel clone is in the state "none"`:               func(r *Record) { r.Channels.Clone.State = "none" },
		`channel folios is in the state "half"`:              func(r *Record) { r.Channels.Folios.State = "half" },
		"channel probes is ok, and yet phase prepare":        func(r *Record) { r.Phases = nil },
		"channel disk is ok, and yet phase verify":           func(r *Record) { r.Phases = phasesUntil(scenario.PhaseRelease, OutcomeRunning) },
		`phase release has the outcome "wat"`:                func(r *Record) { r.Phases = phasesUntil(scenario.PhaseRelease, "wat") },
		`phase verify has the outcome ""`:                    func(r *Record) { r.Phases = phasesUntil(scenario.PhaseVerify, "") },
		`phase "flush" is recorded where pin is due`:         func(r *Record) { r.Phases[1].Name = "flush" },
		`phase "prepare" is recorded where pin is due`:       func(r *Record) { r.Phases[1].Name = "prepare" },
		`phase "more" is recorded after the last one`:        func(r *Record) { r.Phases = append(r.Phases, Phase{Name: "more", Outcome: OutcomeDone}) },
		"phase strip has the outcome failed, and yet":        func(r *Record) { r.Phases[4].Outcome = OutcomeFailed },
		"channel disk is ok, and yet the file system has no": func(r *Record) { r.Facts.InMemory = true },
		`fsync answered "okay"`:                              func(r *Record) { r.Settled = &Settled{Msync: "0", Fsync: "okay"} },
		`said to leave "most" of its pages clean`:            func(r *Record) { r.Facts.LeftClean = "most" },
		"pages are checked on disk, and yet there are 8":     func(r *Record) { r.Channels.Disk.CheckedPages = math.MaxInt64 },
		"9 pages are stale on disk, and yet there are 8":     func(r *Record) { r.Channels.Disk.StalePages = 9 },
		"9 folios are stripped, and yet there are 8 pages": func(r *Record) {
			r.Channels.Probes.StrippedPages, r.Channels.Probes.StrippedFolios = count(8), count(9)
		},
		"8 pages are checked on disk, and yet there are 0 of the region": func(r *Record) {
			r.Regions = nil
		},
		"8 pages are checked on disk, and yet there are 0 of": func(r *Record) { r.Regions[0].Pages = -1 },
		"9 pages are changed in the clone": func(r *Record) {
			r.Channels.Clone = CloneChannel{State: StateOK, CheckedPages: 8, ChangedPages: 9}
		},
		"9 pages are checked in the page cache": func(r *Record) { r.Channels.Cache = CacheChannel{State: StateOK, CheckedPages: 9} },
	} {
		for _, disk := range []string{"stale", "intact"} {
			r := record("ext4", "done", "bufferless", "bufferless", disk, "absent")
			r.Phases = append([]Phase{}, r.Phases...)
			change(r)
			r.Conclude()
			if r.Verdict != Inconclusive || !strings.Contains(r.Reason, want) {
				t.Errorf("disk %s: %s (%s), want %q", disk, r.Verdict, r.Reason, want)
			}
		}
	}
}

// Too few pages are no contradiction, since a read may have ended early, but nothing to
// call clean.
func TestFewPagesAreNotClean(t *testing.T) {
	r := record("ext4", "done", "nothing", "nothing", "intact", "absent")
	r.Channels.Disk.CheckedPages = 7
	if got, why := Judge(r); got != Inconclusive || !strings.Contains(why, "7 of 8") {
		t.Errorf("%s (%s)", got, why)
	}
	r = record("xfs", "done", "nothing", "nothing", "intact", "intact")
	r.Scenario.Mutation, r.Channels.Clone.CheckedPages = "reflink", 7
	if got, why := Judge(r); got != Inconclusive || !strings.Contains(why, "7 of 8 pages of the clone") {
		t.Errorf("%s (%s)", got, why)
	}
}
