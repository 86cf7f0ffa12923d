package workload

import (
	"sync"
	"time"

	"umemstress/workload/scenario"
)

// CleanUp is what a run does after its last phase, of which is told as of one: it gives back what it took.
const CleanUp = "clean up"

// Status is how far a phase is that takes long.
type Status struct {
	Scenario   scenario.Scenario // of the run
	Phase      string
	Elapsed    time.Duration
	Operations uint64 // that were sent in this phase
	Bytes      uint64
	Over       bool // the phase has ended, of which something was told
}

// tellStatus has somebody told how far the phase is, each time that an interval has passed, until
// the returned function is called. A phase that is shorter is told nothing of.
func (r *run) tellStatus(phase string) (end func()) {
	tell, interval := r.options.Status, r.options.StatusInterval
	if tell == nil || interval <= 0 {
		return func() {}
	}
	started := time.Now()
	operations, bytes := r.progress.Sent()
	now := func() Status {
		s := Status{Scenario: r.options.Scenario, Phase: phase, Elapsed: time.Since(started)}
		s.Operations, s.Bytes = r.progress.Sent()
		s.Operations, s.Bytes = s.Operations-operations, s.Bytes-bytes
		return s
	}
	over := make(chan struct{})
	var telling sync.WaitGroup
	telling.Go(func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for told := false; ; told = true {
			select {
			case <-ticker.C:
				tell(now())
			case <-over:
				if told {
					last := now()
					last.Over = true
					tell(last)
				}
				return
			}
		}
	})
	return func() {
		close(over)
		telling.Wait()
	}
}
