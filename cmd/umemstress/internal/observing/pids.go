package observing

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/sirupsen/logrus"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/probes/event"
	"umemstress/probes/observe"
)

// nobody is the number of no process.
const nobody = math.MaxUint32

// A watched process is told from a later one of its number by when it began.
type watched struct {
	pid   uint32
	begun string
}

// watchedPIDs looks the processes up that --pid names.
func (f *flags) watchedPIDs(proc string) (list []watched, err error) {
	for _, pid := range f.pids {
		since, err := observe.Begun(proc, uint32(pid))
		if err != nil {
			return nil, exit.Usagef("--pid %d: there is no such process", pid)
		}
		list = append(list, watched{uint32(pid), since})
	}
	return list, nil
}

// ofOthers are those whose numbers others have by now.
func ofOthers(proc string, list []watched) (reused []watched) {
	for _, w := range list {
		if since, err := observe.Begun(proc, w.pid); err == nil && since != w.begun {
			reused = append(reused, w)
		}
	}
	return reused
}

// dropReused takes those out of the filter whose numbers others have by now, until ctx is done. One
// that has ended stays in it: what it left behind is written back later, and is still its.
func dropReused(ctx context.Context, every time.Duration, proc string, list []watched, filter event.Filter, set func(event.Filter) error) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for len(list) > 0 {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for _, w := range ofOthers(proc, list) {
			filter.PIDs = slices.DeleteFunc(slices.Clone(filter.PIDs), func(pid uint32) bool { return pid == w.pid })
			if len(filter.PIDs) == 0 {
				filter.PIDs = []uint32{nobody} // none would be everybody
			}
			if err := set(filter); err != nil {
				logrus.Warn(err)
				break // the next time
			}
			logrus.Warnf("process %d has ended, and another has its number: it is not watched any more", w.pid)
			list = slices.DeleteFunc(list, func(one watched) bool { return one == w })
		}
	}
}
