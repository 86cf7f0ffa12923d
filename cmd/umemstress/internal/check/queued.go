package check

// queuedItems say what a holder of asynchronous reads lacks beside what dio does: it makes a queue
// of its own, which is tried. There is none where it lacks nothing.
func (h *host) queuedItems(holder string, try func() error) []Item {
	err := try()
	if err == nil {
		return nil
	}
	return []Item{{
		Name: "without RDMA: " + holder, State: Missing, Detail: err.Error(),
		Costs: "no run with the holder " + holder, Remedy: "that, or umemstress lab run, whose guest has it",
	}}
}
