package peering

import (
	"cmp"
	"context"
	"os"
	"time"

	"github.com/sirupsen/logrus"

	"umemstress/cmd/umemstress/internal/signals"
	"umemstress/workload"
	"umemstress/workload/evidence"
	"umemstress/workload/holder/umem/remote"
)

// Prepare makes options of run's flags.
type Prepare func(flags []string) (workload.Options, error)

// victim does the run of another host on this one (--victim remote).
type victim struct {
	prepare Prepare
	own     *remote.Config
	output  string // of its evidence, until the other host has that; empty: chosen
}

func (v victim) run(ctx context.Context, r remote.RunRequest, caller *remote.Caller) error {
	o, err := v.prepare(r.Flags)
	if err != nil {
		return err
	}
	o.Device, o.Port, o.GIDIndex, o.Backend = v.own.Device, cmp.Or(v.own.Port, o.Port), v.own.GIDIndex, v.own.Backend
	signals.OutlivePipes() // what the run did to this machine is undone first
	logrus.AddHook(telling{caller})
	if o.Output = v.output; o.Output == "" {
		if o.Output, err = evidence.Reserve(time.Now()); err != nil {
			return err
		}
		defer os.Remove(o.Output) // a run that never began leaves it empty
	}
	return workload.RunFor(ctx, o, caller)
}

// telling passes on to the other host what is logged here.
type telling struct{ caller *remote.Caller }

func (telling) Levels() []logrus.Level { return logrus.AllLevels }

func (t telling) Fire(e *logrus.Entry) error {
	t.caller.Log(e.Level.String(), e.Message)
	return nil
}
