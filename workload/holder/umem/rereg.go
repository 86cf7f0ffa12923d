package umem

import (
	"context"
	"errors"

	"umemstress/workload/holder/umem/end"
)

// How the target's memory regions are re-registered.
const (
	ReregAccess = end.ReregAccess // they are registered for reading alone at first
	ReregMemory = end.ReregMemory // after the first write, over the same memory
)

// Reregs are all ways.
func Reregs() []string { return []string{ReregAccess, ReregMemory} }

// reregister registers the target's memory anew, which unpins it and pins it again.
func (h *registration) reregister(ctx context.Context) error {
	target, local := h.target.(here)
	if !local {
		return errors.New("a region of another process's cannot be re-registered from here") // Options.validate has refused it
	}
	theirs, err := target.Reregister(h.to.Bytes)
	if err != nil {
		return err
	}
	return h.source.Renew(ctx, theirs)
}
