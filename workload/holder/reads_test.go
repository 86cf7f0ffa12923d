package holder

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"umemstress/workload/internal/fault"
)

// Reads that nobody sees in flight are not waited for without end, and those that are seen late are.
func TestAwaitFlight(t *testing.T) {
	const late = 100 * time.Second
	for name, c := range map[string]struct {
		there time.Duration // 0: never
		takes time.Duration
	}{"never": {0, flightBound}, "late": {late, late}} {
		synctest.Test(t, func(t *testing.T) {
			h := &ByCalls{Calls: NewCalls(1)}
			let := make(chan int)
			h.Calls.Start("a read", 1, func() (int, error) { return <-let, nil })
			began := time.Now()
			err := h.awaitFlight(t.Context(), func() (bool, error) { return c.there > 0 && time.Since(began) >= c.there, nil })
			took := time.Since(began)
			if took < c.takes || took > c.takes+time.Second {
				t.Errorf("%s: it took %v, want %v", name, took, c.takes)
			}
			if told := err != nil && fault.IsIneffective(err) && strings.Contains(err.Error(), "1 direct reads were begun"); told != (c.there == 0) || (err == nil) != (c.there > 0) {
				t.Errorf("%s: %v", name, err)
			}
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			if err := h.awaitFlight(ended, func() (bool, error) { return false, nil }); !errors.Is(err, context.Canceled) {
				t.Errorf("%s, interrupted: %v", name, err)
			}
			let <- 1
		})
	}
}
