package memlock

import (
	"errors"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// process is a limit on locked memory, and what BPF before 5.11 makes of it.
type process struct {
	mu      sync.Mutex
	current unix.Rlimit
	fixed   bool // nobody may lift it
}

func (p *process) set(to, old *unix.Rlimit) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fixed {
		return unix.EPERM
	}
	if old != nil {
		*old = p.current
	}
	p.current = *to
	return nil
}

func (p *process) create() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current.Cur != unix.RLIM_INFINITY {
		return unix.EPERM
	}
	return nil
}

var small = unix.Rlimit{Cur: 64 << 10, Max: 1 << 20}

func TestIsLiftedAndRestored(t *testing.T) {
	p := &process{current: small}
	l := limit{set: p.set}
	restore, err := l.lift(p.create)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.create(); err != nil {
		t.Errorf("before it is restored: %v", err)
	}
	restore()
	if p.current != small {
		t.Errorf("the limit is %+v, was %+v", p.current, small)
	}
}

func TestThatCannotBeLifted(t *testing.T) {
	p := &process{current: small, fixed: true}
	l := limit{set: p.set}
	for range 2 { // and it is free for the next one
		restore, err := l.lift(p.create)
		if !errors.Is(err, unix.EPERM) {
			t.Error(err)
		}
		restore()
	}
	other := errors.New("other")
	restore, err := l.lift(func() error { return other })
	if !errors.Is(err, other) {
		t.Error(err)
	}
	restore()
}

// A session that begins while another one attaches waits. What it created under the
// other one's limit would be followed by what it can no longer create.
func TestOfTwoSessions(t *testing.T) {
	p := &process{current: small}
	l := limit{set: p.set}
	restore, err := l.lift(p.create)
	if err != nil {
		t.Fatal(err)
	}
	created, done := make(chan struct{}, 2), make(chan error, 1)
	go func() {
		restore, err := l.lift(func() error {
			created <- struct{}{}
			return p.create()
		})
		if err == nil {
			err = p.create()
		}
		restore()
		done <- err
	}()
	select {
	case <-created:
		t.Error("the second session does not wait")
	case <-time.After(20 * time.Millisecond):
	}
	restore()
	if err := <-done; err != nil {
		t.Errorf("the second session: %v", err)
	}
	if p.current != small {
		t.Errorf("the limit is %+v, was %+v", p.current, small)
	}
}

// Sessions that begin at once leave the limit as it was, and none loses what it
// still needs to another one's restoring.
func TestOfSeveralSessions(t *testing.T) {
	p := &process{current: small}
	l := limit{set: p.set}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				restore, err := l.lift(p.create)
				if err != nil {
					t.Error(err)
				}
				if err := p.create(); err != nil {
					t.Errorf("while a session attaches: %v", err)
				}
				restore()
			}
		})
	}
	wg.Wait()
	if p.current != small {
		t.Errorf("the limit is %+v, was %+v", p.current, small)
	}
}
