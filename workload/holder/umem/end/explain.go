package end

import (
	"errors"
	"fmt"
	"time"

	"umemstress/rdma"
)

// How long a device may take to tell why it does not carry requests: routes go before the port's
// state does when a netdev is set down.
const (
	tellBound  = 500 * time.Millisecond
	tellPeriod = 10 * time.Millisecond
)

// explain finds the cause behind what failed: requests fail, or are flushed, when the port goes down or
// the device goes away, which the device tells by itself.
func (e *End) explain(err error) error {
	if !ofTraffic(err) {
		return err
	}
	for began := time.Now(); ; time.Sleep(tellPeriod) {
		cause := e.context.Alive()
		switch {
		case errors.Is(cause, rdma.ErrBrokeDown) && !errors.Is(err, rdma.ErrBrokeDown):
			return fmt.Errorf("%w; and %w", cause, err)
		case cause != nil:
			return cause
		case time.Since(began) > tellBound:
			return err
		}
	}
}

// ofTraffic says whether an error is of requests and their completions.
func ofTraffic(err error) bool {
	var failed *rdma.CompletionError
	var refused *rdma.Error
	return errors.As(err, &failed) || errors.As(err, &refused)
}
