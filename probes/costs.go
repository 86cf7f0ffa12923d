package probes

import (
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"umemstress/probes/event"
)

// MeasureCosts, to be called once, has the kernel measure what programs take until the session is closed. It
// measures all programs of the machine, which costs each run two looks at the clock. It takes
// CAP_SYS_ADMIN (kernel/bpf/syscall.c, bpf_enable_stats).
func (s *Session) MeasureCosts() error {
	stats, err := ebpf.EnableStats(uint32(unix.BPF_STATS_RUN_TIME))
	if err != nil {
		return fmt.Errorf("probes: measure programs: %w", err)
	}
	s.measuring = stats
	return nil
}

func (s *Session) stopMeasuring() error {
	if s.measuring == nil {
		return nil
	}
	return s.measuring.Close()
}

// Costs are what the hooks have taken so far, and missed.
func (s *Session) Costs() ([]event.Cost, error) {
	s.watching.RLock()
	defer s.watching.RUnlock()
	var list []event.Cost
	for _, w := range s.watches {
		if !w.attachment.Attached() {
			continue
		}
		cost := event.Cost{Purpose: w.attachment.Purpose, Symbol: w.attachment.Symbol, Method: string(w.attachment.Method)}
		for _, one := range w.links {
			missed, err := one.misses()
			if err != nil {
				return nil, fmt.Errorf("probes: read misses: %w", err)
			}
			stats, err := one.prog.Stats()
			if err != nil {
				return nil, fmt.Errorf("probes: read what a program took: %w", err)
			}
			cost.Missed += missed
			cost.Runs += stats.RunCount
			cost.Time += stats.Runtime
		}
		list = append(list, cost)
	}
	return list, nil
}
