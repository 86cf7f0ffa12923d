package end

import (
	"context"
	"errors"
	"fmt"
	"time"

	"umemstress/rdma"
	"umemstress/rdma/counters"
)

// stuckAfter is how long nothing may arrive. Retries of a lossy link take
// seconds.
const stuckAfter = 30 * time.Second

// progress waits for completions and takes them into account. A device that is
// removed meanwhile ends the wait.
func (e *End) progress(ctx context.Context) error {
	err := e.progressWithin(ctx, stuckAfter)
	if errors.Is(err, errSilence) {
		return e.stuckError(e.counted().Since(e.before))
	}
	return err
}

func (e *End) stuckError(risen counters.Counters) error {
	told := ""
	if len(risen) > 0 {
		told = "; its counters have risen since the connection: " + risen.String()
	}
	return fmt.Errorf("no RDMA completion for %v on %s: the link has stopped; look at its port's state%s", stuckAfter, e.info.Name, told)
}

// counted is what the port counts.
func (e *End) counted() counters.Counters {
	return counters.Read(rdma.Sysfs, e.info.Name, e.path.Port)
}

// errSilence is of a time in which no completion came.
var errSilence = errors.New("no RDMA completion came")

func (e *End) progressWithin(ctx context.Context, silence time.Duration) error {
	n, err := waitWithin(ctx, silence, func(ctx context.Context) (int, error) { return e.cq.Wait(ctx, e.completions[:]) })
	if err != nil {
		return err
	}
	for i := range e.completions[:n] {
		if err := e.complete(&e.completions[i]); err != nil {
			return err
		}
	}
	return nil
}

// looks is in how many parts a silence is waited for. One that this process slept through, as on a machine that
// stood still, is one part of it: what arrives after that has not had the time that is meant.
const looks = 10

// waitWithin waits for completions, and says how many, or returns errSilence.
func waitWithin(ctx context.Context, silence time.Duration, wait func(context.Context) (int, error)) (int, error) {
	for range looks {
		bounded, cancel := context.WithTimeout(ctx, silence/looks)
		n, err := wait(bounded)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			return n, err
		}
	}
	return 0, errSilence
}
