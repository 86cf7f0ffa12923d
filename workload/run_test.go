package workload

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"

	"umemstress/probes/event"
	"umemstress/workload/evidence"
	"umemstress/workload/internal/fault"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
	"umemstress/workload/witness"
)

// unwritable is evidence on a disk that is full.
type unwritable struct{}

var errFull = errors.New("write the evidence: no space left on device")

func (unwritable) AddEvent(event.Event) error     { return errFull }
func (unwritable) AddStack(int32, []string) error { return errFull }
func (unwritable) AddKmsg(string) error           { return errFull }
func (unwritable) Sync() error                    { return errFull }

// begun is a run that is about to do its first phase.
func begun(t *testing.T) (*run, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "evidence")
	e, err := evidence.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	facts := scenario.Facts{}
	return &run{
		options:  Options{Log: logrus.New()},
		record:   &record.Record{Schema: record.Schema, Facts: &facts, Channels: record.NoChannels()},
		evidence: e, died: make(chan struct{}),
	}, dir
}

// A phase after which the evidence cannot be written has failed, and the record says why: it
// is not as if the machine had died.
func TestPhaseThatCannotBeRecorded(t *testing.T) {
	r, dir := begun(t)
	goOn, err := r.step(t.Context(), scenario.PhasePrepare, func(context.Context) (err error) {
		r.watch, err = witness.Start(witness.Config{Probes: witness.AttachSoon(nil), Evidence: unwritable{}, Log: r.options.log()})
		return err
	})
	if goOn || !errors.Is(err, errFull) || strings.Count(err.Error(), "no space left") != 1 {
		t.Errorf("%v, %v", goOn, err)
	}
	r.conclude()
	if err := errors.Join(r.evidence.SaveRecord(r.record), r.watch.Close()); err != nil {
		t.Fatal(err)
	}
	again, err := evidence.Load(dir)
	if err != nil || again.Verdict != record.Inconclusive || again.Reason != "phase prepare: failed: "+errFull.Error() {
		t.Errorf("%s: %s, %v", again.Verdict, again.Reason, err)
	}
}

// So has one whose beginning cannot.
func TestPhaseThatCannotBegin(t *testing.T) {
	r, _ := begun(t)
	if err := r.evidence.Close(); err != nil {
		t.Fatal(err)
	}
	goOn, err := r.step(t.Context(), scenario.PhasePrepare, func(context.Context) error {
		t.Error("it began")
		return nil
	})
	last := r.record.Phases[0]
	if goOn || err == nil || last.Outcome != record.OutcomeFailed || last.Detail != err.Error() {
		t.Errorf("%v, %v, %+v", goOn, err, last)
	}
}

// What the host lacks is told from what else can go wrong, as the exit code will be.
func TestPhaseThatTheHostCannotDo(t *testing.T) {
	for err, want := range map[error]bool{
		fault.Lacksf("no device"): true, fault.Usagef("no"): false, errors.New("failed"): false,
		fault.Usagef("no: %w", fault.Lacksf("no device")): false,
	} {
		r, _ := begun(t)
		if _, got := r.step(t.Context(), scenario.PhasePrepare, func(context.Context) error { return err }); !errors.Is(got, err) {
			t.Errorf("%v became %v", err, got)
		}
		r.conclude()
		if r.record.HostLacked() != want {
			t.Errorf("%v: %+v", err, r.record.Phases)
		}
	}
}

// The same sentence is said once.
func TestAlso(t *testing.T) {
	a, b := errors.New("a"), errors.New("b")
	for _, c := range []struct {
		err, more error
		want      string
	}{
		{nil, nil, "<nil>"}, {a, nil, "a"}, {nil, a, "a"}, {a, errors.New("a"), "a"}, {fmt.Errorf("in b: %w", a), a, "in b: a"}, {a, b, "a\nb"},
	} {
		if got := fmt.Sprint(also(c.err, c.more)); got != c.want {
			t.Errorf("%v and %v: %q, want %q", c.err, c.more, got, c.want)
		}
	}
}
