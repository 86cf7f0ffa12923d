package observing

import (
	"github.com/sirupsen/logrus"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/probes/event"
	"umemstress/probes/metrics"
	"umemstress/probes/observe"
)

// A show has the sums for Prometheus, in a file or at an address. nil: nobody asked.
type show struct {
	exporter *metrics.Exporter
	file     string
	failed   error // to write it, the first time
	costless error // the first time that costs could not be read
	server   *metrics.Server
}

func (f *flags) openShow(hooks []observe.Hook) (*show, error) {
	if f.textfile == "" && f.listen == "" {
		return nil, nil
	}
	s := &show{exporter: metrics.New(hooks), file: f.textfile}
	if s.file != "" {
		if err := s.exporter.WriteFile(s.file); err != nil {
			return nil, exit.Usagef("--textfile %s: %w", s.file, err)
		}
	}
	if f.listen != "" {
		var err error
		if s.server, err = s.exporter.Serve(f.listen); err != nil {
			return nil, exit.Usagef("--listen %s: %w", f.listen, err)
		}
		logrus.Debugf("Prometheus is answered at http://%s/metrics", s.server.Addr)
	}
	return s, nil
}

func (s *show) count(sums observe.Summary, costs func() ([]event.Cost, error)) {
	if s == nil {
		return
	}
	s.exporter.Set(sums)
	if list, err := costs(); err == nil {
		s.exporter.SetCosts(list)
	} else if s.costless == nil {
		s.costless = err
		logrus.Warnf("what the hooks miss and take is not told: %v", err)
	}
	if s.file == "" {
		return
	}
	if err := s.exporter.WriteFile(s.file); err != nil && s.failed == nil {
		s.failed = err
		logrus.Warnf("%v; it is tried again every second", err)
	}
}

func (s *show) rehook(hooks []observe.Hook) {
	if s != nil {
		s.exporter.SetHooks(hooks)
	}
}

func (s *show) close() error {
	if s == nil {
		return nil
	}
	if s.server != nil {
		if err := s.server.Close(); err != nil {
			return err
		}
	}
	return s.failed
}
