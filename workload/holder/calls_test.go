package holder

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/worktest"
)

// TestCallsHeld has calls under way until the test lets them return.
func TestCallsHeld(t *testing.T) {
	c := NewCalls(2)
	first, second := make(chan int), make(chan int)
	c.Start("call one", 8, func() (int, error) { return <-first, nil })
	c.Start("call two", 8, func() (int, error) { return <-second, nil })
	if err := c.Held(); err != nil {
		t.Fatalf("held, both under way: %v", err)
	}
	bounded, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := c.Wait(bounded); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("wait, both under way: %v, want the context's error", err)
	}
	first <- 8
	err := worktest.FirstError(t, c.Held)
	if !fault.IsIneffective(err) || !strings.Contains(err.Error(), "1 of 2 calls had already returned, first call one") {
		t.Errorf("held, one returned: %v, want ineffective and which one", err)
	}
	second <- 8
	if err := c.Wait(t.Context()); err != nil {
		t.Errorf("wait: %v", err)
	}
}

func TestCallsFailed(t *testing.T) {
	for want, do := range map[string]func() (int, error){
		"call x: bad address":               func() (int, error) { return 0, unix.EFAULT },
		"call x: only 3 of 8 bytes arrived": func() (int, error) { return 3, nil },
	} {
		c := NewCalls(1)
		c.Start("call x", 8, do)
		err := worktest.FirstError(t, c.Held)
		if fault.IsIneffective(err) || err.Error() != want {
			t.Errorf("held: %v, want %q", err, want)
		}
		if err := c.Wait(t.Context()); err == nil || err.Error() != want {
			t.Errorf("wait: %v, want %q", err, want)
		}
	}
}
