// Package status tells a person how far a run is, while a phase of it takes long.
package status

import (
	"fmt"
	"io"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/pflag"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/workload"
)

const flagName = "status-interval"

// Flags say how often it is told.
type Flags struct {
	every time.Duration
	given *pflag.FlagSet
}

// Register adds the flag.
func (f *Flags) Register(flags *pflag.FlagSet) {
	flags.DurationVar(&f.every, flagName, 0, "tell how far a phase is, each so often, as in 10s; 0: never (default: each second on a terminal, else never)")
	f.given = flags
}

// Set has the options tell on stderr, which is a terminal or not; of several runs each with its scenario.
func (f *Flags) Set(o *workload.Options, stderr io.Writer, terminal, several bool) error {
	every := f.every
	if every < 0 {
		return exit.Usagef("--%s %v: give a duration, such as 10s", flagName, every)
	}
	if terminal && !f.given.Changed(flagName) {
		every = time.Second
	}
	o.StatusInterval = every
	t := &teller{several: several}
	if terminal {
		o.Status = func(now workload.Status) { t.show(stderr, now) }
	} else {
		o.Status = t.log
	}
	return nil
}

// teller knows what was told last, so that it can tell the rate since.
type teller struct {
	several bool // runs, one after the other
	last    workload.Status
}

// show keeps one line of a terminal, which is gone with the phase.
func (t *teller) show(terminal io.Writer, now workload.Status) {
	const home, clear = "\r", "\x1b[K"
	if now.Over {
		fmt.Fprint(terminal, home+clear)
		t.last = workload.Status{}
		return
	}
	fmt.Fprint(terminal, home+clear+t.line(now))
}

// log has a line each time.
func (t *teller) log(now workload.Status) {
	if now.Over {
		t.last = workload.Status{}
		return
	}
	logrus.Info(t.line(now))
}

// line is what was sent in the phase, and how fast since the last line.
func (t *teller) line(now workload.Status) string {
	line := fmt.Sprintf("%s: %.0f s", now.Phase, now.Elapsed.Seconds())
	if t.several {
		line = now.Scenario.String() + ", " + line
	}
	if now.Bytes > 0 {
		const mib = 1 << 20
		rate := float64(now.Bytes-t.last.Bytes) / mib / (now.Elapsed - t.last.Elapsed).Seconds()
		line += fmt.Sprintf(", %d operations, %d MiB, %.1f MiB/s", now.Operations, now.Bytes/mib, rate)
	}
	t.last = now
	return line
}
