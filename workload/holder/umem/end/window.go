package end

import (
	"context"
	"errors"
	"fmt"

	"umemstress/rdma"
)

// windowed says whether the other end is to reach this one's region through memory windows, one over each memory region.
func (e *End) windowed() bool { return e.config.Windows && e.config.Side == Target }

// openWindows makes them and binds them, before anything else goes through the queue pairs.
func (e *End) openWindows(ctx context.Context) error {
	for _, mr := range e.mine.mrs {
		w, err := mr.AllocWindow()
		if err != nil {
			return err
		}
		e.mine.windows = append(e.mine.windows, w)
		if err := e.pairs[0].qp.Bind(0, w, 0, mr.Len(), e.verb.access&^rdma.AccessLocalWrite); err != nil {
			return err
		}
		if err := e.awaitBinding(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (e *End) awaitBinding(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, stuckAfter)
	defer cancel()
	if _, err := e.cq.Wait(bounded, e.completions[:1]); err != nil {
		return fmt.Errorf("bind a memory window: %w", err)
	}
	if err := e.completions[0].Err(); err != nil {
		return fmt.Errorf("bind a memory window: %w", err)
	}
	return nil
}

// closeWindows gives them up, since a region that has one is not deregistered.
func (p *pieces) closeWindows() error {
	var errs []error
	for _, w := range p.windows {
		errs = append(errs, w.Close())
	}
	return errors.Join(errs...)
}
