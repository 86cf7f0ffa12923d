package workload

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"

	"umemstress/workload/evidence"
	"umemstress/workload/internal/fault"
	"umemstress/workload/record"
)

// ending is what a candidate's run comes to.
type ending struct {
	verdict record.Verdict
	cleanup string
	err     error
}

var errBroken = errors.New("mkfs broke")

// searched looks among candidates whose runs end so, and returns the evidence directory, too.
func searched(t *testing.T, endings ...ending) (r *record.Record, dir string, runs int, err error) {
	t.Helper()
	o := live()
	o.Output, o.Log = filepath.Join(t.TempDir(), "evidence"), logrus.New()
	o.Candidates = o.Candidates[:len(endings)]
	s := &search{options: o, run: func(_ context.Context, o Options) (*record.Record, error) {
		e, failed := evidence.Create(o.Output)
		if failed != nil {
			return nil, failed
		}
		end := endings[runs]
		runs++
		r := &record.Record{Schema: record.Schema, Scenario: o.Scenario, Choice: o.choice, Verdict: end.verdict, Reason: "as it is", CleanupError: end.cleanup}
		return r, errors.Join(end.err, e.SaveRecord(r), e.Close())
	}}
	r, err = s.worst(t.Context())
	return r, o.Output, runs, err
}

// The first candidate that does harm is the run; what comes before it is passed over, and has its evidence
// beside; what comes after is not tried.
func TestWorstIsTheFirstThatHarms(t *testing.T) {
	r, dir, runs, err := searched(t,
		ending{verdict: record.Exposed}, ending{err: fault.Lacksf("no NFS")}, ending{verdict: record.Corrupted}, ending{verdict: record.Crashed})
	if err != nil || runs != 3 || r.Scenario != liveFindings()[2].Scenario || r.Verdict != record.Corrupted {
		t.Fatalf("%+v after %d runs, %v", r, runs, err)
	}
	c := r.Choice
	if c.Rank != 3 || c.Of != 4 || !strings.Contains(c.Why, liveFindings()[2].Harm) || len(c.PassedOver) != 2 {
		t.Fatalf("%+v", c)
	}
	if first, second := c.PassedOver[0], c.PassedOver[1]; first.Verdict != record.Exposed || first.Reason != "as it is" || second.Verdict != "" || second.Reason != "no NFS" {
		t.Errorf("%+v", c.PassedOver)
	}
	wantEvidence(t, dir, r)
	for i, over := range c.PassedOver {
		if at, err := evidence.Load(filepath.Join(dir, over.Evidence)); err != nil || at.Scenario != liveFindings()[i].Scenario {
			t.Errorf("%+v: %+v, %v", over, at, err)
		}
	}
}

// wantEvidence wants that of the run, and no other, where it was asked for.
func wantEvidence(t *testing.T, dir string, r *record.Record) {
	t.Helper()
	there, err := evidence.Load(dir)
	if err != nil || there.Scenario != r.Scenario || there.Choice == nil || there.Choice.Why != r.Choice.Why {
		t.Errorf("%+v, %v", there, err)
	}
}

// Where none does harm, the worst verdict counts, and the others are told all the same.
func TestWorstOfTheHarmless(t *testing.T) {
	r, dir, _, err := searched(t,
		ending{verdict: record.Inconclusive}, ending{verdict: record.Clean}, ending{err: fault.Lacksf("no NFS")}, ending{verdict: record.Exposed}, ending{verdict: record.Exposed})
	if err != nil || r.Scenario != liveFindings()[3].Scenario || r.Choice.Rank != 4 || len(r.Choice.PassedOver) != 4 {
		t.Fatalf("%+v, %v", r, err)
	}
	wantEvidence(t, dir, r)
	folders, err := filepath.Glob(filepath.Join(dir, "*", evidence.RunFile))
	if err != nil || len(folders) != 4 {
		t.Errorf("%q, %v", folders, err)
	}
}

// A host that lacks something for each is told so, each thing once.
func TestWorstOfNothing(t *testing.T) {
	_, dir, runs, err := searched(t, ending{err: fault.Lacksf("no NFS")}, ending{err: fault.Lacksf("no VMCI")}, ending{err: fault.Lacksf("no NFS")})
	if runs != 3 || !hostLacks(err) || strings.Count(err.Error(), "no NFS") != 1 || !strings.Contains(err.Error(), "no VMCI") {
		t.Errorf("%v after %d runs", err, runs)
	}
	if _, err := os.Stat(filepath.Join(dir, evidence.RunFile)); err != nil {
		t.Errorf("the evidence of no run is where it was asked for: %v", err)
	}
}

// What goes wrong ends the search: it is not to be hidden by what comes after.
func TestWorstIsNotWhatWentWrong(t *testing.T) {
	for _, wrong := range []ending{
		{err: errBroken}, {err: context.Canceled}, {err: fault.Usagef("no")},
		{verdict: record.Clean, cleanup: "clean up: busy"}, {err: fault.Lacksf("no NFS"), cleanup: "clean up: busy"},
	} {
		r, _, runs, err := searched(t, ending{verdict: record.Clean}, wrong, ending{verdict: record.DataLost})
		if runs != 2 || !errors.Is(err, wrong.err) || r.CleanupError != wrong.cleanup {
			t.Errorf("%+v: %+v after %d runs, %v", wrong, r, runs, err)
		}
	}
}

// What loses data unnoticed comes before a clone that changes, and that before what never reaches a server.
func TestLiveFindingsWorstFirst(t *testing.T) {
	class := func(c Candidate) int {
		switch {
		case c.Scenario.Mutation == "reflink":
			return 1
		case c.Scenario.Filesystem == "nfs":
			return 2
		}
		return 0
	}
	findings := liveFindings()
	if !slices.IsSortedFunc(findings, func(a, b Candidate) int { return class(a) - class(b) }) || class(findings[len(findings)-1]) != 2 {
		t.Errorf("%+v", findings)
	}
	o := live()
	if err := o.Validate(); err != nil {
		t.Error(err)
	}
	o.Iterations = 5
	if err := o.Validate(); err == nil {
		t.Error("what a candidate refuses is not refused")
	}
}
