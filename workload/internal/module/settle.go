package module

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// What follows waits for another process's unloading: what it takes away half-way would be missing
// from what is loaded here, and what it could not take away would stay for good.
const (
	settleBound = 5 * time.Second        // in all
	settled     = 500 * time.Millisecond // without a change
	settlePoll  = 20 * time.Millisecond
)

// settle returns once no module of the set is about to go, as those of a run that was killed are. One
// that nobody uses may be.
func (s Set) settle(ctx context.Context) error {
	before, since := s.unused(), time.Now()
	for until := since.Add(settleBound); len(before) > 0 && time.Since(since) < settled && time.Now().Before(until); {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(settlePoll):
		}
		if now := s.unused(); !maps.Equal(before, now) {
			before, since = now, time.Now()
		}
	}
	return nil
}

// unused are those of the set that are loaded, and that nobody uses.
func (s Set) unused() map[string]bool {
	found := map[string]bool{}
	for _, name := range s.Unload {
		if count, err := os.ReadFile(filepath.Join(sysModule, name, "refcnt")); err == nil && strings.TrimSpace(string(count)) == "0" {
			found[name] = true
		}
	}
	return found
}
