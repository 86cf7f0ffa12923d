package main

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/cmd/umemstress/internal/logfile"
	"umemstress/soft-roce/lab/kernels"
	"umemstress/soft-roce/lab/matrix"
	"umemstress/workload/record"
	"umemstress/workload/remedy"
	"umemstress/workload/report"
)

// What triage advises to run is a command line of run, for a scenario that the matrix expects to
// end so on that kernel.
func TestReproductions(t *testing.T) {
	expected, err := matrix.Expected()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range remedy.Shows() {
		if !slices.ContainsFunc(expected, func(e matrix.Expectation) bool {
			return e.Kernel == s.Kernel && e.Scenario == s.Scenario && e.Verdict == string(s.Verdict)
		}) {
			t.Errorf("%s on %s is not expected to end in %s", s.Scenario, s.Kernel, s.Verdict)
		}
		o, err := parseRunFlags(t, strings.Fields(s.Flags())...)
		if err != nil || o.Scenario.String() != s.Scenario || o.AllowCrash != (s.Verdict.ExitCode() == 14) {
			t.Errorf("run %s: %s, %v", s.Flags(), o.Scenario, err)
		}
	}
}

// A kernel that no mirror has is said to be built as the lab builds it.
func TestReproductionNeedsBuild(t *testing.T) {
	r := remedy.Reproduce(remedy.Trouble{Effect: record.Crashed, Holder: "dio", Filesystem: "ext4", BugOn: true})
	if r == nil {
		t.Fatal("nothing reproduces ext4's BUG_ON")
	}
	store := &kernels.Store{Dir: t.TempDir()}
	var missing *kernels.NoArchiveError
	if _, err := store.Find(t.Context(), r.Kernel); !errors.As(err, &missing) || !strings.Contains(r.Needs, "'"+missing.Recipe.Command()+"'") {
		t.Errorf("%s needs %s: %v", r.Kernel, r.Needs, err)
	}
}

// A signal ends it while it waits for what may never come.
func TestTriageInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	in, out := io.Pipe()
	defer out.Close()
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := logfile.Read(ctx, "-", in, diagnose); !errors.Is(err, context.Canceled) || exit.Code(err) != exit.Interrupted {
		t.Errorf("%v", err)
	}
}

// A log is read from wherever the command was told to read.
func TestTriageStandardInput(t *testing.T) {
	d, err := logfile.Read(t.Context(), "-", strings.NewReader("[    1.0] EXT4-fs warning (device vda1): f:1: inode #12: comm a: folio 5 does not have buffers attached\n"), diagnose)
	if err != nil || d.Status() != 12 {
		t.Errorf("%+v, %v", d, err)
	}
}

// The README shows what triage says of the report's log, word for word.
func TestReadmeTriage(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	log := "../../workload/triage/testdata/ext4-bug-3.10-vmcore-dmesg.txt"
	d, err := logfile.Read(t.Context(), log, nil, diagnose)
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	if err := report.Diagnosis(&said, d); err != nil {
		t.Fatal(err)
	}
	shown := "    " + strings.ReplaceAll(strings.TrimSuffix(said.String(), "\n"), "\n", "\n    ") + "\n"
	if !strings.Contains(string(readme), shown) {
		t.Errorf("the README has not, word for word:\n%s", shown)
	}
}
