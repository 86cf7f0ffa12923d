//go:build guest

package main

import (
	"encoding/json"
	"flag"
	"path/filepath"
	"strings"
	"testing"

	"umemstress/cmd/umemstress/internal/exit"

	"github.com/sirupsen/logrus"

	"umemstress/workload"
	"umemstress/workload/evidence"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// presetVerdicts are what the presets of one scenario prove, on a kernel on which
// quick proves the verdict that is the key: it tells whether reclaim spares pages
// that RDMA pins, and whether direct reads pin as RDMA does.
var presetVerdicts = map[record.Verdict]map[string]record.Verdict{
	record.DataLost: {"quick": record.DataLost, "customer": record.DataLost, "kara": record.DataLost, "clone": record.Corrupted, "live": record.DataLost, "longterm": record.DataLost},
	record.Clean:    {"quick": record.Clean, "customer": record.Clean, "kara": record.DataLost, "clone": record.Corrupted, "live": record.DataLost, "longterm": record.DataLost},
	record.Refused:  {"quick": record.Refused, "customer": record.Refused, "kara": record.Clean, "clone": record.Corrupted, "live": record.DataLost, "longterm": record.DataLost},
}

// Each preset gives its verdict, and it is about every page of the file. The minutes of
// customer and longterm are made seconds. The files are small, since the pages that ext4 drops stay
// counted as dirty in this guest, and the flusher would come before the other tests'
// first write.
func TestPresets(t *testing.T) {
	expected, known := presetVerdicts[record.Verdict(*expectVerdict)]
	if !known {
		t.Fatalf("-expect-verdict=%q", *expectVerdict)
	}
	for _, preset := range workload.Presets() {
		if preset.Name == workload.Everything {
			continue
		}
		t.Run(preset.Name, func(t *testing.T) {
			before := tracks(t)
			args := []string{"run", "--preset", preset.Name, "--file-size", "8M", "--anon-size", "8M",
				"--observe", "require", "--format", "json", "-o", filepath.Join(t.TempDir(), "evidence")}
			if preset.Name == "customer" || preset.Name == "longterm" {
				args = append(args, "-D", "1")
			}
			stdout, stderr, code := outcome(t, args...)
			var r record.Record
			if err := json.Unmarshal([]byte(stdout), &r); err != nil {
				t.Fatalf("%v in %q; %s", err, stdout, stderr)
			}
			if want := expected[preset.Name]; r.Verdict != want || code != exit.Code(verdictStatus(want)) {
				t.Errorf("%s (%s), exit code %d; want %s", r.Verdict, r.Reason, code, want)
			}
			if hit, of := harmed(&r); hit != of {
				t.Errorf("%d of %d pages: %s", hit, of, r.Reason)
			}
			if len(r.Disagreements) > 0 {
				t.Errorf("channels disagree: %q", r.Disagreements)
			}
			for _, phase := range r.Phases {
				writes := phase.Name == scenario.PhaseWrite || phase.Name == scenario.PhaseWriteAgain
				if writes && phase.Seconds < float64(r.Settings.Seconds) {
					t.Errorf("the phase %s of %d s took %v s", phase.Name, r.Settings.Seconds, phase.Seconds)
				}
			}
			if after := tracks(t); after != before {
				t.Errorf("left behind:\n%s\nbefore:\n%s", after, before)
			}
		})
	}
}

// harmed is how many pages the verdict is about, of how many.
func harmed(r *record.Record) (hit, of uint64) {
	switch r.Verdict {
	case record.DataLost:
		return r.Channels.Disk.StalePages, uint64(r.Regions[0].Pages)
	case record.Corrupted:
		return r.Channels.Clone.ChangedPages, uint64(r.Regions[0].Pages)
	}
	return 0, 0
}

// The preset everything comes to every scenario that makes sense, each of which
// runs here; its exit code is the worst one's, and the evidence of each judges the
// same.
func TestEverything(t *testing.T) {
	haveModules(t, modulesOfVMCI) // once: to unload them takes a second
	haveModules(t, modulesOfNFS)
	haveModules(t, modulesOfV4L2)
	worst := exit.Clean
	holders := strings.Split(*everythingHolders, ",")
	if *everythingHolders == "" {
		holders = nil
		for _, holder := range workload.Scenarios().Choices(scenario.PartHolder) {
			holders = append(holders, holder.Name)
		}
	}
	for i, holder := range holders {
		if i%*everythingParts == *everythingPart-1 {
			worst = max(worst, everythingOf(t, holder))
		}
	}
	if worst != record.Corrupted.ExitCode() {
		t.Errorf("the worst exit code is %d, and of each part %d is to be", worst, record.Corrupted.ExitCode())
	}
}

// Each part has the scenarios of its share of the holders, so that two guests can go through them.
var (
	everythingHolders = flag.String("everything.holders", "", "the scenarios of these `holders` alone, separated by commas")
	everythingParts   = flag.Int("everything.parts", 1, "how many guests share the scenarios")
	everythingPart    = flag.Int("everything.part", 1, "which of them this one is")
)

// everythingOf runs all scenarios of a holder, and returns the exit code.
func everythingOf(t *testing.T, holder string) (code int) {
	t.Helper()
	before := tracks(t)
	dir := t.TempDir()
	stdout, stderr, code := outcome(t, "run", "--preset", workload.Everything, "--holder", holder, "--observe", "require", "--format", "json", "-o", dir)
	var got []scenarioOutcome
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatalf("%s: %v in %q; %s", holder, err, stdout, stderr)
	}
	want := map[string]bool{}
	for _, e := range workload.Scenarios().All() {
		want[e.Scenario.String()] = e.Nonsense == "" && !e.Large && e.Scenario.Holder == holder && !workload.NeedsPmem(e.Scenario)
	}
	for _, o := range got {
		if !want[o.Scenario.String()] {
			t.Errorf("%s makes no sense, or ran twice", o.Scenario)
		}
		want[o.Scenario.String()] = false
		if o.Verdict == "" || !strings.HasPrefix(o.Evidence, dir) {
			t.Errorf("%s: %s, evidence in %s", o.Scenario, o.word(), o.Evidence)
			continue
		}
		if r, err := evidence.Reexamine(t.Context(), o.Evidence, workload.Scenarios().Facts, logrus.StandardLogger()); err != nil || r.Verdict != o.Verdict || len(r.Disagreements) > 0 {
			t.Errorf("%s: %s, but its evidence: %+v, %v", o.Scenario, o.Verdict, r, err)
		}
	}
	for scenario, missing := range want {
		if missing {
			t.Errorf("%s did not run", scenario)
		}
	}
	if want := exit.Code(worst(got)); code != want {
		t.Errorf("%s: exit code %d, want %d, the worst of all", holder, code, want)
	}
	if after := tracks(t); after != before {
		t.Errorf("%s left behind:\n%s\nbefore:\n%s", holder, after, before)
	}
	return code
}
