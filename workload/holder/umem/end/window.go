package end

import (
	"context"
	"errors"
	"fmt"

	"umemstress/rdma"
)

// windowed says whether the other end is to reach this one's region through memory windows, one over each memory region.
func (e *End) windowed() bool { return e.config.Windows != 0 && e.config.Side == Target }

// openWindows makes them and binds them, before anything else goes through the queue pairs.
func (e *End) openWindows(ctx context.Context) error {
	for _, mr := range e.mine.mrs {
		w, err := mr.AllocWindow(rdma.WindowType(e.config.Windows))
		if err != nil {
			return err
		}
		e.mine.windows = append(e.mine.windows, w)
		if err := e.pairs[0].qp.Bind(0, w, 0, mr.Len(), e.verb.access&^rdma.AccessLocalWrite); err != nil {
			return err
		}
		if err := e.awaitWindow(ctx, "bind a memory window"); err != nil {
			return err
		}
	}
	return nil
}

// awaitWindow waits for the completion of what was asked for a window.
func (e *End) awaitWindow(ctx context.Context, what string) error {
	one := func(ctx context.Context) (int, error) { return e.cq.Wait(ctx, e.completions[:1]) }
	if _, err := waitWithin(ctx, stuckAfter, one); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if err := e.completions[0].Err(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// closeWindows gives them up, since a region that has one is not deregistered: those of type 2 after their keys were taken, as who
// uses them does it, through the queue pair that bound them.
func (e *End) closeWindows() error {
	var errs []error
	for _, w := range e.mine.windows {
		if rdma.WindowType(e.config.Windows) == rdma.Window2 {
			err := e.pairs[0].qp.Invalidate(0, w)
			if err == nil {
				err = e.awaitWindow(context.Background(), "take the key of a memory window")
			}
			errs = append(errs, err)
		}
		errs = append(errs, w.Close())
	}
	e.mine.windows = nil
	return errors.Join(errs...)
}
