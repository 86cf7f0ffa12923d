// Package privileges answers one question: with which capabilities does a program go on, once it
// has begun?
package privileges

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/cap"
)

// A Need is a capability that is still needed.
type Need struct {
	Capability cap.Value
	For        string // for what, to be told
	// Refused tries without it, and with those alone that are needed in any case or were found to be before it: what it
	// returns was refused, and then it is needed. nil: it is needed in any case.
	Refused func() error
}

// Keep gives up, in all threads and for good, the capabilities that are not needed, and returns
// the needs whose capability the process has. It also sets no_new_privs, and empties the bounding
// set: what is started from now on has no capabilities.
func Keep(needs []Need) (kept []Need, err error) {
	had := cap.GetProc()
	if may, _ := had.GetFlag(cap.Effective, cap.SETPCAP); may {
		for v := range cap.MaxBits() {
			if err := cap.DropBound(v); err != nil {
				return nil, fmt.Errorf("privileges: drop %v from the bounding set: %w", v, err)
			}
		}
	}
	if _, err := cap.Prctlw(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("privileges: set no_new_privs: %w", err)
	}
	needs = slices.DeleteFunc(slices.Clone(needs), func(n Need) bool {
		has, err := had.GetFlag(cap.Permitted, n.Capability)
		return err != nil || !has // it is not of this kernel, or was not given
	})
	for _, n := range needs {
		if n.Refused == nil {
			kept = append(kept, n)
		}
	}
	if err := set(had, kept, true); err != nil {
		return nil, fmt.Errorf("privileges: %w", err)
	}
	for _, n := range needs {
		if n.Refused == nil || n.Refused() == nil {
			continue
		}
		kept = append(kept, n)
		if err := set(had, kept, true); err != nil {
			return nil, fmt.Errorf("privileges: %w", err)
		}
	}
	if err := set(had, kept, false); err != nil {
		return nil, fmt.Errorf("privileges: %w", err)
	}
	return kept, nil
}

// set makes effective what is needed. The rest can be had again, or is given up.
func set(had *cap.Set, needs []Need, again bool) error {
	to := cap.NewSet()
	if again {
		if err := to.FillFlag(cap.Permitted, had, cap.Permitted); err != nil {
			return err
		}
	}
	for _, n := range needs {
		for _, flag := range []cap.Flag{cap.Permitted, cap.Effective} {
			if err := to.SetFlag(flag, true, n.Capability); err != nil {
				return err
			}
		}
	}
	return to.SetProc()
}
