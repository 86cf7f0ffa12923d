package probes

import (
	"errors"

	"golang.org/x/sys/unix"
)

// withMemlock calls create and, if that is not permitted, once more with no
// limit on locked memory: before Linux 5.11 BPF maps and programs are charged
// to it. The limit is checked only when they are created, and pinned regions
// are held to the same limit, so the caller restores it as soon as everything
// has been created. restore must be called in any case.
func withMemlock(create func() error) (restore func(), err error) {
	err = create()
	if !errors.Is(err, unix.EPERM) {
		return func() {}, err
	}
	var old unix.Rlimit
	if unix.Prlimit(0, unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}, &old) != nil {
		return func() {}, err
	}
	return func() { unix.Prlimit(0, unix.RLIMIT_MEMLOCK, &old, nil) }, create()
}
