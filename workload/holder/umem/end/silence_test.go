package end

import (
	"context"
	"errors"
	"testing"
	"time"

	"umemstress/rdma"
	"umemstress/rdma/counters"
)

// Silence is what lasts while it is waited: not a time that passed at once, as on a machine that stood still, nor
// the end of the run, nor what the device tells.
func TestWaitWithin(t *testing.T) {
	const silence = 50 * time.Millisecond
	nothing := func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() }
	began := time.Now()
	if n, err := waitWithin(t.Context(), silence, nothing); n != 0 || !errors.Is(err, errSilence) || time.Since(began) < silence {
		t.Errorf("%d, %v after %v", n, err, time.Since(began))
	}
	waits := 0
	afterStandstill := func(ctx context.Context) (int, error) {
		if waits++; waits == 1 {
			time.Sleep(2 * silence)
			return nothing(ctx)
		}
		return 3, nil
	}
	if n, err := waitWithin(t.Context(), silence, afterStandstill); n != 3 || err != nil {
		t.Errorf("%d, %v after a standstill", n, err)
	}
	ended, end := context.WithTimeout(t.Context(), silence/10)
	defer end()
	if _, err := waitWithin(ended, time.Hour, nothing); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v when the run's time is over", err)
	}
	if _, err := waitWithin(t.Context(), silence, func(context.Context) (int, error) { return 0, rdma.ErrBrokeDown }); !errors.Is(err, rdma.ErrBrokeDown) {
		t.Error(err)
	}
}

// Who is told that a link has stopped is told what its port counted, if it counts.
func TestStuckError(t *testing.T) {
	e := &End{info: rdma.Device{Name: "rxe0"}}
	const stopped = "no RDMA completion for 30s on rxe0: the link has stopped; look at its port's state"
	for want, risen := range map[string]counters.Counters{
		stopped: nil,
		stopped + "; its counters have risen since the connection: completer_retry_err 3, sent_pkts 1088": {"sent_pkts": 1088, "completer_retry_err": 3},
	} {
		if got := e.stuckError(risen).Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
