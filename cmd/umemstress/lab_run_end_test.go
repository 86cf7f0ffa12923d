package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/soft-roce/lab"
	"umemstress/workload"
	"umemstress/workload/evidence"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// leave makes the evidence of a run.
func leave(t *testing.T, dir string, r record.Record) {
	t.Helper()
	e, err := evidence.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	r.Schema, r.Channels = record.Schema, record.NoChannels()
	if err := e.SaveRecord(&r); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

// What became of a run in a guest is what its evidence says, and of one that left no verdict,
// what is known of its end.
func TestLabOutcome(t *testing.T) {
	quick, err := workload.Preset("quick")
	if err != nil {
		t.Fatal(err)
	}
	options := func(name string) workload.Options {
		o := quick
		o.Output = filepath.Join(t.TempDir(), name)
		return o
	}
	judged, begun, none := options("judged"), options("begun"), options("none")
	leave(t, judged.Output, record.Record{Verdict: record.DataLost, Reason: "why"})
	leave(t, begun.Output, record.Record{Phases: []record.Phase{{Name: scenario.PhasePrepare, Outcome: record.OutcomeFailed, Detail: "no device"}}})
	for name, c := range map[string]struct {
		options workload.Options
		err     error
		exit    int
		reason  string
	}{
		"a verdict":            {judged, exit.Status(12), 12, "why"},
		"a guest that is lost": {begun, &lab.LabError{Op: "boot"}, lab.ExitFailed, "lab: boot"},
		"a lack of the guest":  {begun, exit.Status(3), exit.HostLacks, "no device"},
		"no evidence":          {none, nil, exit.Clean, "no run.json"},
	} {
		got := outcomeOf(c.options, c.err)
		if got.Exit != c.exit || !strings.Contains(got.Reason, c.reason) || (got.record != nil) != (c.options.Output == judged.Output) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// Each scenario of many has evidence of its own.
func TestLabOutcomesOfEverything(t *testing.T) {
	dir := t.TempDir()
	second := workload.Scenarios().All()[1].Scenario
	leave(t, outputOf(dir, second), record.Record{Verdict: record.Clean, Scenario: second})
	l := &labRun{flags: &runFlags{preset: workload.Everything}, dir: dir}
	if got, err := l.dyingDir(); got != outputOf(dir, second) || err != nil {
		t.Errorf("it is to have died in or after the only one that had begun, and not in %q, %v", got, err)
	}
	dying := outputOf(dir, workload.Scenarios().All()[0].Scenario)
	leave(t, dying, record.Record{})
	if got, err := l.dyingDir(); got != dying || err != nil {
		t.Errorf("it is to have died in the one without a verdict, and not in %q, %v", got, err)
	}
	if err := os.RemoveAll(dying); err != nil {
		t.Fatal(err)
	}
	if got := l.outcomes(nil); len(got) != 1 || got[0].Scenario != second || got[0].Verdict != record.Clean {
		t.Errorf("%+v", got)
	}
}
