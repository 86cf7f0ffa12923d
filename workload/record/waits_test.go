package record

import (
	"strings"
	"testing"

	"umemstress/workload/scenario"
)

// waited is the record of a run without a page cache whose mutation waited for the holder.
func waited(disk string, spoil func(*Record)) *Record {
	r := record("ext4", "done", "unannounced", "nothing", disk, "absent")
	r.Facts = &scenario.Facts{DAX: true, Heals: true, Detaches: true}
	r.Scenario = scenario.Scenario{Holder: "dio", Filesystem: "ext4-dax", Strip: "none", Mutation: "punch"}
	r.Phases = phasesUntil("", "")
	for i := range r.Phases {
		if p := &r.Phases[i]; p.Name == scenario.PhaseMutate {
			p.Outcome, p.WaitedSeconds = OutcomeWaits, 2.5
		}
	}
	if spoil != nil {
		spoil(r)
	}
	return r
}

// That a mutation waited is a result: what it leaves is looked for on the disk, and the run goes on after
// it, but after no other phase that is said to wait.
func TestJudgeWaits(t *testing.T) {
	until := func(phase, outcome string) func(*Record) {
		return func(r *Record) {
			for i, p := range r.Phases {
				if p.Name == phase {
					r.Phases = append(r.Phases[:i:i], Phase{Name: phase, Outcome: outcome, Detail: "because"})
					r.Settled, r.Channels.Disk = nil, DiskChannel{State: StateAbsent}
					return
				}
			}
		}
	}
	for name, tt := range map[string]struct {
		r    *Record
		want Verdict
		why  string
	}{
		"the hole is there": {waited("intact", nil), Clean, "punch waited for the holder, 2.5 s in all, and took no page that was still pinned; all 8 pages on disk are what punch leaves of the file"},
		"nobody woke it":    {waited("intact", func(r *Record) { r.Phases[5].Unwoken = true }), Clean, "this kernel did not wake it"},
		"a clone waited": {waited("intact", func(r *Record) {
			r.Scenario.Mutation, r.Facts.Detaches, r.Channels.Clone = "reflink", false, CloneChannel{State: StateOK, CheckedPages: 8}
		}), Clean, "reflink waited for the holder, 2.5 s in all, and shared no page that was still pinned; all 8 pages on disk are what was written"},
		"it is not":          {waited("stale", nil), DataLost, "8 of 8 pages on disk are not what punch leaves of the file"},
		"it goes on waiting": {waited("absent", until(scenario.PhaseRelease, OutcomeIneffective)), Inconclusive, "phase release: ineffective: because"},
		"it ends there":      {waited("absent", until(scenario.PhaseWriteAgain, OutcomeRunning)), Inconclusive, "the evidence ends in phase write-again"},
		"another waits": {waited("intact", func(r *Record) { r.Phases[2].Outcome = OutcomeWaits }), Inconclusive,
			"phase write has the outcome waits, which that of a mutation alone can have"},
	} {
		if got, why := Judge(tt.r); got != tt.want || !strings.Contains(why, tt.why) {
			t.Errorf("%s: %s (%s), want %s (%s)", name, got, why, tt.want, tt.why)
		}
	}
}

// That whoever waits is not woken can be searched for.
func TestUnwoken(t *testing.T) {
	for unwoken, want := range map[bool]int{true: 1, false: 0} {
		r := waited("intact", func(r *Record) { r.Phases[5].Unwoken = unwoken })
		r.Conclude()
		if len(r.Consequences) != want || unwoken && r.Consequences[0] != "waiter-not-woken: punch" {
			t.Errorf("%v: %q", unwoken, r.Consequences)
		}
	}
}

// Where there is no page cache, a page that is marked dirty tells of nothing, and that none was is no
// word against the disk.
func TestJudgeWithoutCache(t *testing.T) {
	direct := func(probes, disk string) *Record {
		r := record("ext4", "done", probes, "absent", disk, "absent")
		r.Facts = &scenario.Facts{DAX: true, Heals: true}
		return r
	}
	for _, probes := range []string{"absent", "nothing", "unannounced"} {
		if got, why := Judge(direct(probes, "intact")); got != Clean || strings.Contains(why, "told") || !strings.Contains(why, "no page cache") {
			t.Errorf("%s: %s (%s)", probes, got, why)
		}
		if got, why := Judge(direct(probes, "stale")); got != DataLost {
			t.Errorf("%s: %s (%s)", probes, got, why)
		}
	}
	if got, why := Judge(direct("failed", "intact")); got != Inconclusive {
		t.Errorf("%s (%s)", got, why)
	}
	if got, why := Judge(direct("lossy", "intact")); got != Clean {
		t.Errorf("%s (%s)", got, why)
	}
}
