//go:build guest

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"

	"umemstress/workload"
	"umemstress/workload/evidence"
	"umemstress/workload/record"
)

// liveChoice is what --preset live chooses on a kernel: the least that it takes there. Large folios are
// made by ext4 since 6.16, and by XFS since 5.18.
var liveChoice = map[string]string{
	"5.10": "nfs/ext4/pageout/none",
	"6.1":  "nfs/xfs/none/none",
	"6.12": "nfs/xfs/none/none",
	"7.2":  "nfs/ext4/none/none/large",
}

// TestLive wants the worst that this kernel does, and each that was passed over told, with its evidence.
func TestLive(t *testing.T) {
	r, dir := runLive(t)
	release := strings.SplitN(r.Kernel, ".", 3)
	want, known := liveChoice[release[0]+"."+release[1]]
	if known && r.Scenario.String() != want {
		t.Errorf("%s chose %s, want %s: %+v", r.Kernel, r.Scenario, want, r.Choice)
	}
	wantPassedOver(t, r, dir)
}

// What the host lacks is passed over: without mkfs.xfs, XFS is, and the next one is the worst.
func TestLiveWithoutXFS(t *testing.T) {
	if *expectVerdict != "clean" {
		return // 6.1 passes more over than others, and is enough
	}
	const mkfs = "/usr/sbin/mkfs.xfs"
	if err := os.Rename(mkfs, mkfs+".away"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Rename(mkfs+".away", mkfs); err != nil {
			t.Error(err)
		}
	})
	r, dir := runLive(t)
	wantPassedOver(t, r, dir)
	for _, over := range r.Choice.PassedOver {
		if lacks := over.Scenario.Filesystem == "xfs"; lacks != (over.Verdict == "") || lacks != strings.Contains(over.Reason, "mkfs.xfs is not installed") {
			t.Errorf("%+v", over)
		}
	}
	if r.Scenario.Filesystem != "ext4" {
		t.Errorf("chose %s", r.Scenario)
	}
}

func runLive(t *testing.T) (*record.Record, string) {
	t.Helper()
	before := tracks(t)
	dir := filepath.Join(t.TempDir(), "evidence")
	stdout, stderr, code := outcome(t, "run", "--preset", "live", "--observe", "require", "--format", "json", "-o", dir)
	var r record.Record
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatalf("%v in %q; %s", err, stdout, stderr)
	}
	if r.Verdict != record.DataLost || code != record.DataLost.ExitCode() || len(r.Disagreements) > 0 {
		t.Errorf("%s (%s), exit code %d, %q", r.Verdict, r.Reason, code, r.Disagreements)
	}
	if r.Choice == nil {
		t.Fatalf("the record does not say how %s was chosen", r.Scenario)
	}
	if after := tracks(t); after != before {
		t.Errorf("left behind:\n%s\nbefore:\n%s", after, before)
	}
	return &r, dir
}

// wantPassedOver wants those before the chosen one, of which none does harm by its evidence either.
func wantPassedOver(t *testing.T, r *record.Record, dir string) {
	t.Helper()
	options, err := workload.Preset("live")
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Choice.PassedOver) != r.Choice.Rank-1 || r.Choice.Of != len(options.Candidates) || options.Candidates[r.Choice.Rank-1].Scenario != r.Scenario {
		t.Errorf("%s: %+v", r.Scenario, r.Choice)
	}
	for i, over := range r.Choice.PassedOver {
		if over.Scenario != options.Candidates[i].Scenario || over.Reason == "" || over.Verdict.ExitCode() >= record.DataLost.ExitCode() {
			t.Errorf("%+v", over)
		}
		again, err := evidence.Reexamine(t.Context(), filepath.Join(dir, over.Evidence), workload.Scenarios().Facts, logrus.StandardLogger())
		if err != nil || over.Verdict != "" && again.Verdict != over.Verdict {
			t.Errorf("%+v: %+v, %v", over, again, err)
		}
	}
	if again, err := evidence.Reexamine(t.Context(), dir, workload.Scenarios().Facts, logrus.StandardLogger()); err != nil || again.Verdict != r.Verdict || again.Choice == nil {
		t.Errorf("%+v, %v", again, err)
	}
}
