package rdma

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"umemstress/rdma/internal/verbs"
)

// watched is a device in memory that sysfs has, with a queue pair that is connected through port 1.
func watched(t *testing.T) (*fake, *Context, *CQ) {
	t.Helper()
	f, ctx := newFake()
	ctx.device.sysfs = t.TempDir()
	if err := os.MkdirAll(filepath.Join(ctx.device.sysfs, "class/infiniband_verbs", ctx.device.Uverbs), 0o755); err != nil {
		t.Fatal(err)
	}
	_, cq, qp := newQP(t, ctx)
	if err := ctx.Alive(); err != nil {
		t.Fatalf("before anything was told: %v", err)
	}
	if err := qp.Connect(qp.Address(), somePath); err != nil {
		t.Fatal(err)
	}
	return f, ctx, cq
}

// What a device tells is an error of Alive if it ends the traffic, and no error otherwise.
func TestEvents(t *testing.T) {
	port := uint8(somePath.Port)
	for what, c := range map[string]struct {
		told  []verbs.Event
		want  error
		says  string
		lacks bool
	}{
		"nothing":                {nil, nil, "", false},
		"what nobody minds":      {[]verbs.Event{{Type: 4}, {Type: 12}, {Type: 18}, {Type: 99}}, nil, "", false},
		"the port":               {[]verbs.Event{{Type: verbs.EventPortError, Port: port}}, ErrPortDown, "port 1 of device fake0", true},
		"another port":           {[]verbs.Event{{Type: verbs.EventPortError, Port: port + 1}}, nil, "", false},
		"the port, up again":     {[]verbs.Event{{Type: verbs.EventPortError, Port: port}, {Type: verbs.EventPortActive, Port: port}}, nil, "", false},
		"the port, down again":   {[]verbs.Event{{Type: verbs.EventPortActive, Port: port}, {Type: verbs.EventPortError, Port: port}}, ErrPortDown, "went down", true},
		"a queue pair":           {[]verbs.Event{{Type: verbs.EventQPFatal, QPN: 17}}, ErrBrokeDown, "queue pair 17 (fatal error) on device fake0", false},
		"access to a queue pair": {[]verbs.Event{{Type: verbs.EventQPAccess, QPN: 9}}, ErrBrokeDown, "queue pair 9 (its peer may not", false},
		"a queue":                {[]verbs.Event{{Type: verbs.EventCQError}}, ErrBrokeDown, "a completion queue, which may have lost", false},
		"its own end":            {[]verbs.Event{{Type: verbs.EventPortError, Port: port}, {Type: verbs.EventDeviceFatal}, {Type: verbs.EventPortActive, Port: port}}, ErrDeviceGone, "it has told of a fatal error, or of its removal", true},
	} {
		f, ctx, _ := watched(t)
		for _, e := range c.told {
			f.Tell(e)
		}
		for range 2 { // it is told once, and true for longer
			err := ctx.Alive()
			if !errors.Is(err, c.want) || c.want != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v, want %v and %q", what, err, c.want, c.says)
			}
			var e *Error
			if errors.As(err, &e) && e.HostLacks() != c.lacks {
				t.Errorf("%s: the host lacks something: %v", what, e.HostLacks())
			}
		}
		if err := ctx.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A wait ends with what the device tells; completions that are there tell more than that a queue pair broke down.
func TestWaitHearsEvents(t *testing.T) {
	for kind, want := range map[verbs.EventType]error{verbs.EventPortError: ErrPortDown, verbs.EventQPFatal: ErrBrokeDown, verbs.EventDeviceFatal: ErrDeviceGone} {
		f, ctx, cq := watched(t)
		spring := &CQ{object: cq.object, queue: spring{}, asked: time.Now().Add(-time.Hour)}
		f.Tell(verbs.Event{Type: kind, Port: uint8(somePath.Port), QPN: 1})
		bounded, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		beside := want
		if kind == verbs.EventQPFatal {
			beside = nil
		}
		if _, err := spring.Wait(bounded, make([]Completion, 1)); !errors.Is(err, beside) {
			t.Errorf("event %d beside completions: %v", kind, err)
		}
		if _, err := cq.Wait(bounded, make([]Completion, 1)); !errors.Is(err, want) {
			t.Errorf("event %d: %v, want %v", kind, err, want)
		}
		cancel()
		if err := ctx.Close(); err != nil {
			t.Error(err)
		}
	}
}
