// Package metrics shows what an observer counts to Prometheus. Nothing in it names a process or
// a file: there is no end to those.
package metrics

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"umemstress/probes/event"
	"umemstress/probes/observe"
)

var (
	attachedDesc = prometheus.NewDesc("umemstress_hook_attached", "Whether a place in the kernel is watched.", []string{"purpose", "symbol", "method"}, nil)
	pagesDesc    = prometheus.NewDesc("umemstress_pages_total", "Pages of pinned files by what happened to them. Dirtied pages are counted again as what they were.", []string{"kind", "holder", "filesystem"}, nil)
	droppedDesc  = prometheus.NewDesc("umemstress_dropped_folios_total", "Folios whose bytes writeback threw away: data that is lost.", []string{"holder", "filesystem"}, nil)
	regionsDesc  = prometheus.NewDesc("umemstress_regions_total", "RDMA regions of files by what happened to them.", []string{"kind"}, nil)
	eventsDesc   = prometheus.NewDesc("umemstress_events_total", "Events that were told.", nil, nil)
	missedDesc   = prometheus.NewDesc("umemstress_hook_missed_total", "Calls of a watched function for which the kernel ran no program, as far as it counts them.", []string{"purpose", "symbol", "method"}, nil)
	runsDesc     = prometheus.NewDesc("umemstress_hook_runs_total", "Runs of a hook's programs, while the kernel measures programs.", []string{"purpose", "symbol", "method"}, nil)
	secondsDesc  = prometheus.NewDesc("umemstress_hook_seconds_total", "What a hook's programs took, while the kernel measures programs.", []string{"purpose", "symbol", "method"}, nil)
	lostDesc     = prometheus.NewDesc("umemstress_lost_total", "What could not be delivered or counted.", []string{"stage"}, nil)
)

// An Exporter has the sums of an observation. It may be used by several goroutines at once.
type Exporter struct {
	registry *prometheus.Registry

	mu      sync.Mutex
	hooks   []observe.Hook
	summary observe.Summary
	costs   []event.Cost
}

// New makes an exporter with no sums yet. What the observer itself takes of the machine is
// among its metrics (process_*).
func New(hooks []observe.Hook) *Exporter {
	e := &Exporter{registry: prometheus.NewRegistry(), hooks: hooks}
	e.registry.MustRegister(e, collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return e
}

// Set shows these sums from now on.
func (e *Exporter) Set(s observe.Summary) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.summary = s
}

// SetHooks shows these hooks from now on.
func (e *Exporter) SetHooks(hooks []observe.Hook) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.hooks = hooks
}

// SetCosts shows what the hooks have taken from now on.
func (e *Exporter) SetCosts(costs []event.Cost) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.costs = costs
}

// Describe is a prometheus.Collector's.
func (e *Exporter) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{attachedDesc, pagesDesc, droppedDesc, regionsDesc, eventsDesc, missedDesc, runsDesc, secondsDesc, lostDesc} {
		to <- d
	}
}

// Collect is a prometheus.Collector's.
func (e *Exporter) Collect(to chan<- prometheus.Metric) {
	e.mu.Lock()
	s, hooks, costs := e.summary, e.hooks, e.costs
	e.mu.Unlock()
	count := func(d *prometheus.Desc, n uint64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	for _, h := range hooks {
		attached := 0.0
		if h.Awaits != "" { // nothing goes unseen
			continue
		}
		if h.Symbol != "" {
			attached = 1
		}
		to <- prometheus.MustNewConstMetric(attachedDesc, prometheus.GaugeValue, attached, h.Purpose, h.Symbol, h.Method)
	}
	for _, c := range costs {
		count(missedDesc, c.Missed, c.Purpose, c.Symbol, c.Method)
		count(runsDesc, c.Runs, c.Purpose, c.Symbol, c.Method)
		to <- prometheus.MustNewConstMetric(secondsDesc, prometheus.CounterValue, c.Time.Seconds(), c.Purpose, c.Symbol, c.Method)
	}
	for _, sum := range s.Sums {
		for kind, n := range map[string]uint64{
			"stripped": sum.Stripped, "dirtied": sum.Dirtied, "bufferless": sum.Bufferless, "unannounced": sum.Unannounced, "detached": sum.Detached,
		} {
			count(pagesDesc, n, kind, sum.Holder, sum.Filesystem)
		}
		count(droppedDesc, sum.Dropped, sum.Holder, sum.Filesystem)
	}
	for kind, n := range map[string]uint64{"pinned": s.Pinned, "refused": s.Refused, "released": s.Released} {
		count(regionsDesc, n, kind)
	}
	count(eventsDesc, s.Events)
	for stage, n := range map[string]uint64{
		"events": s.Lost.Events, "pages": s.Lost.Pages, "releases": s.Lost.Releases, "stacks": s.Lost.Stacks, "pins": s.Lost.Pins, "strips": s.Lost.Strips,
		"output": s.Lost.Output,
	} {
		count(lostDesc, n, stage)
	}
}

// WriteFile writes the metrics for node_exporter's textfile collector; the file is exchanged as
// a whole.
func (e *Exporter) WriteFile(path string) error {
	if err := prometheus.WriteToTextfile(path, e.registry); err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}

// A Server answers Prometheus at /metrics.
type Server struct {
	http   *http.Server
	served chan error
	Addr   net.Addr // that it listens at
}

// A usage error is of an address that cannot be listened at.
type usage struct{ error }

// Usage marks the error as the caller's.
func (usage) Usage() bool { return true }

// Unwrap is the error's reason.
func (u usage) Unwrap() error { return u.error }

// Serve listens at an address, such as ":9750".
func (e *Exporter) Serve(address string) (*Server, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, usage{fmt.Errorf("metrics: %w", err)}
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(e.registry, promhttp.HandlerOpts{}))
	s := &Server{
		http:   &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second},
		served: make(chan error, 1), Addr: listener.Addr(),
	}
	go func() { s.served <- s.http.Serve(listener) }()
	return s, nil
}

// Close ends it, once who is being answered has the answer, or a second has passed.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close()
	}
	if served := <-s.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}
