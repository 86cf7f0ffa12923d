package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

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

// hung is what 5.10 says on its console of a thread that waits for a page which another had locked.
const hung = `[  242.661348] INFO: task umemstress:107 blocked for more than 120 seconds.
[  242.661726] task:umemstress      state:D stack:    0 pid:  107 ppid:     1 flags:0x00004000
[  242.661884] Call Trace:
[  242.662042]  __schedule+0x282/0x880
[  242.662173]  io_schedule+0x46/0x70
[  242.662173]  __lock_page+0x111/0x240
[  242.662173]  mpage_prepare_extent_to_map+0x25d/0x290 [ext4]
[  242.662300] RIP: 0033:0x7f0c733a9000
`

// A guest whose time was up is one that crashed where its console has a task of the run hang in what
// the run did; any other was lost, as before.
func TestLabTimeIsUp(t *testing.T) {
	lost := &lab.LabError{Op: "run the program", Err: errors.New("not finished after 10m0s")}
	for name, c := range map[string]struct {
		console string
		begun   bool
		exit    int
	}{
		"hanging":            {hung, true, record.Crashed.ExitCode()},
		"hanging elsewhere":  {strings.ReplaceAll(hung, "mpage_prepare_extent_to_map", "nfs_wait_bit_killable"), true, lab.ExitFailed},
		"slow":               {"", true, lab.ExitFailed},
		"before a run began": {hung, false, lab.ExitFailed},
	} {
		dir := filepath.Join(t.TempDir(), "evidence")
		console := filepath.Join(t.TempDir(), "console")
		if err := os.WriteFile(console, []byte(c.console), 0o644); err != nil {
			t.Fatal(err)
		}
		if c.begun {
			quick, err := workload.Preset("quick")
			if err != nil {
				t.Fatal(err)
			}
			facts, _ := workload.Scenarios().Facts(quick.Scenario)
			leave(t, dir, record.Record{Scenario: quick.Scenario, Facts: &facts, Process: record.Process{PID: 100, Comm: "umemstress"},
				Phases: []record.Phase{{Name: scenario.PhasePrepare, Outcome: record.OutcomeRunning}}})
		}
		cmd := &cobra.Command{}
		var out bytes.Buffer
		cmd.SetOut(&out)
		cmd.SetContext(t.Context())
		err := (&labRun{flags: &runFlags{}, dir: dir}).judgeLoss(cmd, lost, console)
		if code := exit.Code(err); code != c.exit {
			t.Errorf("%s: exit code %d, want %d: %v", name, code, c.exit, err)
		}
		if told := strings.Contains(out.String(), "CRASHED") && strings.Contains(out.String(), "the kernel hangs in a thread of this run"); told != (c.exit == record.Crashed.ExitCode()) {
			t.Errorf("%s: it says %q", name, &out)
		}
		if c.begun {
			if r, err := evidence.Load(dir); err != nil || (r.Verdict == record.Crashed) != (c.exit == record.Crashed.ExitCode()) {
				t.Errorf("%s: its evidence is %+v, %v", name, r, err)
			}
		}
	}
}
