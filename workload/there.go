package workload

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"umemstress/rdma"
	"umemstress/workload/evidence"
	"umemstress/workload/holder/umem/remote"
	"umemstress/workload/internal/fault"
	"umemstress/workload/record"
)

// Which host of a run with a peer has the file's region.
const (
	VictimLocal  = "local"  // the one where the run is started
	VictimRemote = "remote" // the peer, which does the run; this one has the anonymous region
	VictimBoth   = "both"   // each; that is two runs, of who calls Run
)

// validateVictim refuses a file on a host that there is not.
func (o Options) validateVictim() error {
	if o.Victim != VictimLocal && o.Peer == "" {
		return fault.Usagef("--victim %s: there is no other host; name it by --peer 'ssh node2 umemstress peer'", o.Victim)
	}
	return nil
}

// runThere has the peer do the run, on its host, and keeps what comes of it here as it comes. Who dies there leaves the
// evidence until then.
func runThere(ctx context.Context, o Options) (*record.Record, error) {
	kept, err := evidence.Receive(o.Output)
	if err != nil {
		return nil, err
	}
	there, err := remote.Do(ctx, o.Peer,
		remote.RunRequest{Flags: o.PeerFlags},
		remote.Config{Device: o.Device, Port: o.Port, GIDIndex: o.GIDIndex, Backend: o.Backend},
		copying{kept, o.log()})
	if err = errors.Join(err, kept.Close()); err != nil && (there.Over || ctx.Err() != nil) {
		return tellCopy(o, nil, err)
	}
	r, damaged := evidence.Reexamine(context.WithoutCancel(ctx), o.Output, Scenarios().Facts, o.log())
	switch {
	case err == nil:
		return r, damaged
	case damaged == nil && r.Verdict == record.Crashed: // which is why it is gone
		return r, evidence.SaveJudged(o.Output, r)
	}
	return tellCopy(o, r, err)
}

// tellCopy says where the evidence is of a run that has no verdict.
func tellCopy(o Options, r *record.Record, err error) (*record.Record, error) {
	if _, missing := os.Stat(filepath.Join(o.Output, evidence.RunFile)); missing == nil {
		o.log().Infof("the evidence until then is in %s", o.Output)
	}
	return r, err
}

// copying keeps the evidence, and passes on what is logged there.
type copying struct {
	*evidence.Copy
	log logrus.FieldLogger
}

func (k copying) Log(host, level, text string) {
	text = host + ": " + text
	switch level {
	case "debug", "trace":
		k.log.Debug(text)
	case "info":
		k.log.Info(text)
	case "warning":
		k.log.Warn(text)
	default:
		k.log.Error(text)
	}
}

// followEvery is how often what the evidence has got is handed over: where the machine dies, what it said
// a moment before is lost.
const followEvery = 50 * time.Millisecond

// RunFor does the run of whoever has started this peer, which has the anonymous region and gets the evidence. Where it
// has all of that, this host keeps none.
func RunFor(ctx context.Context, o Options, caller *remote.Caller) error {
	if o.Manager && !rdma.CanLoad {
		return fault.Lacksf("the run connects by the connection manager (--rdma-cm), which takes a library, and this peer can load none; start it as umemstress peer --rdma-cm")
	}
	o.Caller = caller
	follower := evidence.Follow(o.Output)
	over := make(chan struct{})
	var following sync.WaitGroup
	following.Go(func() {
		ticker := time.NewTicker(followEvery)
		defer ticker.Stop()
		for {
			select {
			case <-over:
				return
			case <-ticker.C:
				if follower.Next(caller.Keep) != nil {
					return // the end says why
				}
			}
		}
	})
	_, err := Run(ctx, o)
	close(over)
	following.Wait()
	err = errors.Join(err, follower.Next(caller.Keep))
	if caller.End(err) {
		return evidence.Remove(o.Output)
	}
	return err
}

// victim tells, in the record of a run for somebody else, that its host is not where it was started.
func (o Options) victim() (*record.Victim, error) {
	if o.Caller == nil {
		return nil, nil
	}
	host, err := os.Hostname()
	return &record.Victim{Host: host, For: o.Caller.Host()}, err
}
