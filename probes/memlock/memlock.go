// Package memlock lifts the limit on locked memory while BPF objects are created.
package memlock

import (
	"errors"
	"sync"

	"golang.org/x/sys/unix"
)

// own is this process's limit on locked memory. There is one of it, so whoever
// lifts it keeps others from doing so until it is back: a second one would take no
// limit for what it has to restore.
var own = limit{set: func(to *unix.Rlimit, old *unix.Rlimit) error {
	return unix.Prlimit(0, unix.RLIMIT_MEMLOCK, to, old)
}}

type limit struct {
	mu  sync.Mutex // held while it is lifted, or could be
	set func(to, old *unix.Rlimit) error
}

// Lift calls create and, if that is not permitted, once more with no limit on
// locked memory: before Linux 5.11 BPF maps and programs are charged to it. The
// limit is checked only when they are created, and pinned regions are held to the
// same limit, so the caller restores it as soon as everything has been created.
// restore must be called in any case, once.
func Lift(create func() error) (restore func(), err error) { return own.lift(create) }

func (l *limit) lift(create func() error) (restore func(), err error) {
	l.mu.Lock()
	err = create()
	if !errors.Is(err, unix.EPERM) {
		return l.mu.Unlock, err
	}
	var old unix.Rlimit
	if l.set(&unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}, &old) != nil {
		return l.mu.Unlock, err
	}
	return func() {
		_ = l.set(&old, nil)
		l.mu.Unlock()
	}, create()
}

// LiftAnyhow lifts the limit, if that is permitted, without waiting for it to be in the way: what
// is refused is not seen where many programs are tried.
func LiftAnyhow() (restore func()) { return own.liftAnyhow() }

func (l *limit) liftAnyhow() (restore func()) {
	refused := false
	restore, _ = l.lift(func() error {
		if refused {
			return nil
		}
		refused = true
		return unix.EPERM
	})
	return restore
}
