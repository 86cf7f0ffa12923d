//go:build guest

package main

import (
	"encoding/json"
	"flag"
	"strings"
	"testing"
	"time"

	"umemstress/cmd/umemstress/internal/exit"

	"github.com/sirupsen/logrus"

	"umemstress/workload"
	"umemstress/workload/evidence"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

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

// silentScenario is how long a scenario may take, after which a line of the log tells of it. It takes five
// seconds in an emulated guest, and some 13.
const silentScenario = 3 * time.Minute

// everythingBound leaves the test the time to tell of a run that its own time is over for.
func everythingBound(t *testing.T) bound {
	b := bound{silence: silentScenario, until: time.Now().Add(time.Hour)}
	if deadline, ok := t.Deadline(); ok {
		b.until = deadline.Add(-time.Minute)
	}
	return b
}

// everythingOf runs all scenarios of a holder, and returns the exit code.
func everythingOf(t *testing.T, holder string) (code int) {
	t.Helper()
	before := tracks(t)
	dir := t.TempDir()
	began := time.Now()
	stdout, told, code := outcomeWithin(t, everythingBound(t), dir, "run", "--preset", workload.Everything, "--holder", holder, "--observe", "require", "--format", "json", "-o", dir)
	var got []scenarioOutcome
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatalf("%s: %v in %q; %s", holder, err, stdout, told)
	}
	t.Logf("%s: %d scenarios in %v; the longest took %v", holder, len(got), time.Since(began).Round(time.Second), told.longest().Round(time.Second))
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
