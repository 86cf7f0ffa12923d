package workload

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"umemstress/workload/scenario"
	"umemstress/workload/strip"
)

// How far a run is, is told of phases that take long, and of what comes after the last one, each with
// the scenario.
func TestStatus(t *testing.T) {
	for phase, do := range map[string]func(*run, func()){
		scenario.PhaseStrip: func(r *run, wait func()) {
			goOn, err := r.step(t.Context(), scenario.PhaseStrip, func(context.Context) error { wait(); return nil })
			if !goOn || err != nil {
				t.Errorf("%v, %v", goOn, err)
			}
		},
		CleanUp: func(r *run, wait func()) {
			r.stripper = slowStripper{wait}
			if err := r.takeDown(); err != nil {
				t.Error(err)
			}
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			r, _ := begun(t)
			r.options.Scenario.Holder = "uring"
			var told []Status
			r.options.Status, r.options.StatusInterval = func(s Status) { told = append(told, s) }, time.Second
			do(r, func() { time.Sleep(2500 * time.Millisecond) })
			if len(told) != 3 || !told[2].Over || told[1].Over || told[1].Elapsed != 2*time.Second || told[1].Phase != phase || told[1].Scenario.Holder != "uring" {
				t.Errorf("%s: told %+v", phase, told)
			}
		})
	}
}

// slowStripper takes its time to be closed.
type slowStripper struct{ wait func() }

func (slowStripper) Strip(context.Context, strip.Target) error { return nil }
func (s slowStripper) Close() error                            { s.wait(); return nil }
