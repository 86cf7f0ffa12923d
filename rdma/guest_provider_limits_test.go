//go:build guest

package rdma

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"umemstress/rdma/internal/verbs"
	"umemstress/rdma/providertest"
)

// What a device has less of than was asked for, or not at all, is refused with the limit's name, and what it has goes on.
func testProviderLimits(t *testing.T, p *providertest.Provider) {
	e := newDiffering(t)
	pair := func(cfg QPConfig) error {
		cfg.SendCQ = e.cq
		qp, err := e.pd.CreateQP(cfg)
		if err != nil {
			return err
		}
		return qp.Close()
	}
	region := func(mem []byte, access Access) error {
		mr, err := e.pd.RegisterMR(mem, access)
		if err != nil {
			return err
		}
		return mr.Close()
	}
	large := anonymous(t, 1<<20)
	for _, of := range []struct {
		knob  providertest.Knob
		value uint32
		try   func() error
		says  string
		lacks bool
	}{
		{providertest.MaxWR, 16, func() error { return pair(QPConfig{MaxSend: 17}) }, "17 send and 1 receive requests may be more", false},
		{providertest.MaxWR, 16, func() error { return pair(QPConfig{MaxSend: 1, MaxRecv: 17}) }, "1 send and 17 receive requests may be more", false},
		{providertest.MaxSGE, 1, func() error { return pair(QPConfig{MaxPieces: 2}) }, "2 pieces of memory each", false},
		{providertest.NoInline, 1, func() error { return pair(QPConfig{MaxInline: 1}) }, "1 bytes inline", false},
		{providertest.MaxCQE, 64, func() error { _, err := e.ctx.CreateCQ(65); return err }, "max_cqe", false},
		{providertest.MaxCQE, 64, func() error { _, err := e.ctx.CreateEventCQ(65); return err }, "max_cqe", false},
		{providertest.MaxMRKiB, 64, func() error { return region(large, AccessLocalWrite) }, "max_mr_size", false},
		{providertest.NoAtomics, 1, func() error { return region(large, AccessLocalWrite|AccessRemoteAtomic) }, "atomic_cap", false},
		{providertest.NoAtomics, 1, func() error { return e.connectAtomics(t) }, "atomic_cap", true},
		{providertest.NoSRQ, 1, func() error { _, err := e.pd.CreateSRQ(SRQConfig{}); return err }, "the device has none", true},
		{providertest.MaxWR, 16, func() error { _, err := e.pd.CreateSRQ(SRQConfig{MaxRecv: 17}); return err }, "more receives", false},
	} {
		if err := of.try(); err != nil {
			t.Errorf("%s: without the limit: %v", of.says, err)
		}
		p.Set(of.knob, of.value)
		err := of.try()
		var refused *Error
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), of.says) || strings.Contains(err.Error(), "\n") || refused.HostLacks() != of.lacks {
			t.Errorf("%v, want %q, and that the host lacks it: %v", err, of.says, of.lacks)
		}
		if p.Set(providertest.Silent, 1); !of.lacks {
			if err := of.try(); err == nil || !strings.Contains(err.Error(), of.says) {
				t.Errorf("without a reason: %v, want %q", err, of.says)
			}
		}
		p.Set(providertest.Silent, 0)
		p.Set(of.knob, 0)
	}
	p.Set(providertest.Limitless, 1)
	if err := pair(QPConfig{}); err != nil {
		t.Errorf("a queue pair that has room for all requests there are: %v", err)
	}
	for _, knob := range []providertest.Knob{providertest.MaxWR, providertest.MaxSGE, providertest.MaxCQE, providertest.MaxMRKiB, providertest.NoInline, providertest.NoAtomics, providertest.NoSRQ} {
		p.Set(knob, 64)
	}
	p.Set(providertest.MaxSGE, 1)
	small := newDiffering(t)
	if err := small.qp.Post(small.write(1)); err != nil {
		t.Fatal(err)
	}
	await(t, small.cq, 1)
}

func (e *differing) connectAtomics(t *testing.T) error {
	t.Helper()
	path, err := e.ctx.Path(PathConfig{GIDIndex: AutoGID})
	if err != nil {
		t.Fatal(err)
	}
	qp, err := e.pd.CreateQP(QPConfig{SendCQ: e.cq, Atomics: true})
	if err != nil {
		t.Fatal(err)
	}
	return errors.Join(qp.Connect(qp.Address(), path), qp.Close())
}

// Whatever a device tells unasked is acknowledged, or what it is of could not end; and it ends the traffic, or does not.
func testProviderEvents(t *testing.T, p *providertest.Provider) {
	type end struct {
		err  error
		says string
	}
	ends := map[verbs.EventType]end{
		verbs.EventCQError:     {ErrBrokeDown, "a completion queue, which may have lost completions on device"},
		verbs.EventQPFatal:     {ErrBrokeDown, "(fatal error) on device"},
		verbs.EventQPRequest:   {ErrBrokeDown, "(its peer sent what is malformed) on device"},
		verbs.EventQPAccess:    {ErrBrokeDown, "(its peer may not do what it asked for) on device"},
		verbs.EventDeviceFatal: {ErrDeviceGone, "a fatal error"},
		verbs.EventPortError:   {ErrPortDown, "port 1 of device"},
		verbs.EventSRQError:    {ErrBrokeDown, "a shared receive queue on device"},
	}
	const (
		srqLimit = 15 // IBV_EVENT_SRQ_LIMIT_REACHED
		wqFatal  = 19 // IBV_EVENT_WQ_FATAL, of a kind of queue that nobody here makes
		unknown  = 21 // rdma-core 65 has 20
	)
	for kind := range verbs.EventType(unknown + 1) {
		if kind == wqFatal {
			continue
		}
		t.Run(fmt.Sprintf("event %d", kind), func(t *testing.T) {
			p.Reset()
			e := newDiffering(t)
			if kind == verbs.EventSRQError || kind == srqLimit {
				e.share(t)
			}
			p.Set(providertest.EventPort, 1)
			p.Set(providertest.Event, uint32(kind)+1)
			if err := e.ctx.Alive(); err != nil {
				t.Fatalf("before it is told of: %v", err)
			}
			if err := e.qp.Post(e.write(1)); err != nil || p.Get(providertest.Event) != 0 {
				t.Fatalf("the provider has told of nothing, %v", err)
			}
			want, err := ends[kind], e.ctx.Alive()
			if !errors.Is(err, want.err) || err != nil && !strings.Contains(err.Error(), want.says) {
				t.Errorf("%v, want %v and %q", err, want.err, want.says)
			}
			if number := fmt.Sprintf("queue pair %d ", e.qp.Address().QPN); kind.OfQP() && err != nil && !strings.Contains(err.Error(), number) {
				t.Errorf("%v, of %s", err, number)
			}
			e.cq.asked = time.Time{} // so that it asks
			var wc [1]Completion
			if _, err := e.cq.Wait(t.Context(), wc[:]); !errors.Is(err, want.err) && !errors.Is(want.err, ErrBrokeDown) {
				t.Errorf("wait: %v, want %v", err, want.err)
			}
		})
	}
}

// share has requests posted to a queue pair that has a shared receive queue.
func (e *differing) share(t *testing.T) {
	t.Helper()
	srq, err := e.pd.CreateSRQ(SRQConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if e.qp, err = e.pd.CreateQP(QPConfig{SendCQ: e.cq, SRQ: srq}); err != nil {
		t.Fatal(err)
	}
	path, err := e.ctx.Path(PathConfig{GIDIndex: AutoGID})
	if err == nil {
		err = e.qp.Connect(e.qp.Address(), path)
	}
	if err != nil {
		t.Fatal(err)
	}
}
