package umem

import (
	"context"

	"umemstress/workload/record"
)

// connect connects the queue pairs of both ends.
func (h *registration) connect(ctx context.Context) error {
	from, to := h.source.Place(), h.target.Place()
	if h.config.Manager {
		h.device.ConnectedBy = record.ConnectedByManager
		if from.Meeting != nil {
			h.device.ConnectedAt = from.Meeting.Address.String()
		}
		return atOnce(ctx,
			func(ctx context.Context) error { return h.target.Connect(ctx, from) },
			func(ctx context.Context) error { return h.source.Connect(ctx, to) })
	}
	h.device.ConnectedBy = record.ConnectedByVerbs
	if err := h.target.Connect(ctx, from); err != nil {
		return err
	}
	return h.source.Connect(ctx, to)
}

// atOnce does two things of which each waits for the other one. An error ends both, and is that of the first that fails.
func atOnce(ctx context.Context, one, other func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan error, 2)
	for _, do := range []func(context.Context) error{one, other} {
		go func() { done <- do(ctx) }()
	}
	err := <-done
	if err != nil {
		cancel(err)
	}
	if second := <-done; err == nil {
		return second
	}
	return err
}
