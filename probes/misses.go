package probes

import (
	"errors"
	"fmt"
	"io"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"umemstress/probes/event"
)

// A placed program is attached, and kept open to be asked how often it did not run.
type placed struct {
	link io.Closer // a link.Link, or a *deferred.Probe
	prog *ebpf.Program
}

func (p placed) close() error { return errors.Join(p.link.Close(), p.prog.Close()) }

// misses is how often the program should have run and did not, as far as the
// kernel counts it: trampolines since 5.12, kprobe-multi and perf kprobes since
// 6.7. Runs that would have done nothing are among them: an interrupt that
// completes a bio, and has no page to dirty, can hit the program at work.
func (p placed) misses() (uint64, error) {
	stats, err := p.prog.Stats()
	if err != nil {
		return 0, err
	}
	missed := stats.RecursionMisses // the program was not run when it was its turn
	attached, is := p.link.(link.Link)
	if !is {
		return missed, nil
	}
	info, err := attached.Info()
	if errors.Is(err, ebpf.ErrNotSupported) {
		return missed, nil // a perf kprobe before 5.15, which is no link to the kernel
	}
	if err != nil {
		return 0, fmt.Errorf("ask a link: %w", err)
	}
	// Its turn did not come: a probe hit inside a probe, or a return that
	// there was no room to wait for.
	if multi := info.KprobeMulti(); multi != nil {
		missed += multi.Missed
	}
	if perf := info.PerfEvent(); perf != nil && perf.Kprobe() != nil {
		missed += perf.Kprobe().Missed
	}
	return missed, nil
}

// links are what keeps one hook attached.
type links []placed

// A watch is a hook, where it was attached, and what keeps it there.
type watch struct {
	hook       hook
	module     module // the hook's, when it was tried
	attachment Attachment
	links      links
	candidates []candidate // of a hook that is attached later: it has the links of one of them
}

func (w *watch) close() error {
	if w.candidates == nil {
		return w.links.close()
	}
	var errs []error
	for _, c := range w.candidates {
		errs = append(errs, c.links.close())
	}
	return errors.Join(errs...)
}

// keep takes a program and its link over.
func (l *links) keep(prog *ebpf.Program, one io.Closer, err error) error {
	if err != nil {
		return errors.Join(err, prog.Close())
	}
	*l = append(*l, placed{one, prog})
	return nil
}

func (l links) misses() (uint64, error) {
	var sum uint64
	for _, one := range l {
		missed, err := one.misses()
		if err != nil {
			return 0, err
		}
		sum += missed
	}
	return sum, nil
}

func (l links) close() error {
	var errs []error
	for _, one := range l {
		errs = append(errs, one.close())
	}
	return errors.Join(errs...)
}

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
