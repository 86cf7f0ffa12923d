package observing

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"umemstress/probes"
	"umemstress/probes/event"
	"umemstress/probes/kernellog"
	"umemstress/probes/kmsg"
	"umemstress/probes/observe"
	"umemstress/probes/privileges"
)

// A witness is what sees, where it looks, and which privileges it needs for that.
type witness struct {
	observe.Source
	hooks []observe.Hook
	needs func() []privileges.Need
	close func() error
	// setFilter has it look at others from now on.
	setFilter func(event.Filter) error
	// costs are what the hooks have taken so far.
	costs func() ([]event.Cost, error)
	// attachLate goes on looking for places, until ctx is done.
	attachLate func(ctx context.Context, shown *show) <-chan func() []observe.Hook
}

// witness attaches the probes, or, where the kernel has none, opens its log.
func (f *flags) witness(filter event.Filter) (witness, error) {
	session, err := f.attach()
	if err != nil {
		if f.canDoWithout(err) {
			return withoutProbes(err)
		}
		return witness{}, err
	}
	if err := session.SetFilter(filter); err != nil {
		return witness{}, errors.Join(err, session.Close())
	}
	if err := session.ListRegions(); err != nil {
		logrus.Warnf("what was pinned before is only recognised when it is released: %v", err)
	}
	if f.stack || f.journal != "" {
		_ = session.ReadSymbols() // now: later the machine may die of what has a stack to be named. They are left out where they are hidden
	}
	if f.hookCost {
		if err := session.MeasureCosts(); err != nil {
			return witness{}, errors.Join(fmt.Errorf("--hook-cost: %w", err), session.Close())
		}
	}
	return witness{
		Source: session, hooks: hooksOf(session.Attachments()), close: session.Close, setFilter: session.SetFilter, costs: session.Costs,
		needs: func() []privileges.Need { return f.probesNeed(session) },
		attachLate: func(ctx context.Context, shown *show) <-chan func() []observe.Hook {
			return f.attachLate(ctx, session, shown)
		},
	}, nil
}

// canDoWithout says whether the log is of use where the probes are not to be had for that reason:
// not for somebody who only forgot to be root, and not where the question is whose the pages are,
// which the log does not say.
func (f *flags) canDoWithout(err error) bool {
	var lacks *probes.LacksError
	if !errors.As(err, &lacks) || len(f.pids)+len(f.cgroups) > 0 {
		return false
	}
	denied := errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES)
	return os.Geteuid() == 0 || !denied
}

// withoutProbes watches the kernel's log and what file systems count.
func withoutProbes(why error) (witness, error) {
	log, err := kernellog.Open(kernellog.Config{Died: tellDeath})
	if err != nil {
		return witness{}, errors.Join(why, fmt.Errorf("nor can the log be watched: %w", err))
	}
	logrus.Warnf("%v; only the kernel's log and ext4's counters of warnings are watched: they tell what writeback drops, and not whose it is nor what comes before", why)
	return witness{
		Source: log, hooks: hooksOf(logAttachments), close: log.Close,
		needs:      func() []privileges.Need { return nil }, // only to open the log takes one
		costs:      func() ([]event.Cost, error) { return nil, nil },
		setFilter:  func(event.Filter) error { return nil }, // see canDoWithout
		attachLate: func(context.Context, *show) <-chan func() []observe.Hook { return nil },
	}, nil
}

// logAttachments are what is watched instead of hooks.
var logAttachments = []probes.Attachment{
	{Purpose: "what writeback drops", Symbol: "/dev/kmsg", Method: "log"},
	{Purpose: "what ext4 counts, and the log leaves out", Symbol: kernellog.Counters, Method: "counter"},
	{Purpose: "what is pinned, stripped, dirtied and released", Without: "nobody knows who holds pages, and what becomes of them before writeback drops them"},
}

func tellDeath(d kmsg.Death) {
	logrus.Warnf("the kernel said: %s; 'dmesg | umemstress triage -' tells whether it is of this, and what to do", d.Said)
}
