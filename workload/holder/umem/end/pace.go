package end

import (
	"context"
	"errors"
	"time"

	"golang.org/x/time/rate"
)

// pace is how fast messages are posted: a token bucket of bytes.
type pace struct {
	limiter *rate.Limiter
	burst   int
}

// burstTime is the share of a second's bytes that may go at once: long enough for a timer, and too short
// to fill the queues of who limits the rate for the network's sake.
const burstTime = 5 * time.Millisecond

// newPace is nil for no limit.
func newPace(bytesPerSecond int64) *pace {
	if bytesPerSecond <= 0 {
		return nil
	}
	burst := max(1, int(float64(bytesPerSecond)*burstTime.Seconds()))
	return &pace{rate.NewLimiter(rate.Limit(bytesPerSecond), burst), burst}
}

// keepPace returns when a message may be posted. What is queued goes first, and completions are taken meanwhile.
func (e *End) keepPace(ctx context.Context, bytes int) error {
	if e.pace == nil {
		return nil
	}
	for now := time.Now(); bytes > 0; now = time.Now() { // a message may be longer than what goes at once
		n := min(bytes, e.pace.burst)
		if delay := e.pace.limiter.ReserveN(now, n).DelayFrom(now); delay > 0 {
			if err := e.idle(ctx, delay); err != nil {
				return err
			}
		}
		bytes -= n
	}
	return nil
}

// idle sends what is queued, and takes completions for so long.
func (e *End) idle(ctx context.Context, delay time.Duration) error {
	for _, p := range e.pairs {
		if err := e.flush(ctx, p); err != nil {
			return err
		}
	}
	bounded, cancel := context.WithTimeout(ctx, delay)
	defer cancel()
	for e.underWay() {
		err := e.progress(bounded)
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			return nil
		}
		if err != nil {
			return err
		}
	}
	<-bounded.Done()
	return ctx.Err()
}
