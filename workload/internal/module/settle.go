package module

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/file"
)

// What follows waits for another process's unloading: what it takes away half-way would be missing
// from what is loaded here, and what it could not take away would stay for good.
const (
	settleBound = 20 * time.Second // in all
	settled     = 3 * time.Second  // without a change
	settlePoll  = 20 * time.Millisecond
)

// hangOut hangs out a sign, a shared lock of a directory, that stays for as long as the shell that will unload:
// who finds none knows that nothing is about to go.
func hangOut() (sign *os.File, err error) {
	if sign, err = os.Open(sysModule); err != nil {
		return nil, err
	}
	return sign, file.Again(func() error { return unix.Flock(int(sign.Fd()), unix.LOCK_SH) })
}

// alone says whether there is no other sign.
func alone(sign *os.File) bool {
	only := unix.Flock(int(sign.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil
	// Who asks for the other kind of lock has given up the first, also where it does not get that.
	return file.Again(func() error { return unix.Flock(int(sign.Fd()), unix.LOCK_SH) }) == nil && only
}

// settle returns once no module of the set is about to go, as those of a run that was killed are. One
// that nobody uses may be.
func (s Set) settle(ctx context.Context, sign *os.File) error {
	if alone(sign) {
		return nil
	}
	before, since := s.unused(), time.Now()
	for until := since.Add(settleBound); len(before) > 0 && time.Since(since) < settled && time.Now().Before(until); {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(settlePoll):
		}
		if alone(sign) {
			return nil
		}
		if now := s.unused(); !maps.Equal(before, now) || slices.Contains(slices.Collect(maps.Values(now)), going) {
			before, since = now, time.Now()
		}
	}
	return nil
}

// going is the state of a module that is being unloaded (kernel/module, show_initstate).
const going = "going"

// unused has the states of those of the set that are there, and that nobody uses.
func (s Set) unused() map[string]string {
	found := map[string]string{}
	for _, name := range s.Unload {
		state, _ := os.ReadFile(filepath.Join(sysModule, name, "initstate"))
		count, err := os.ReadFile(filepath.Join(sysModule, name, "refcnt"))
		if word := strings.TrimSpace(string(state)); word == going || err == nil && strings.TrimSpace(string(count)) == "0" {
			found[name] = word
		}
	}
	return found
}
