package record

import "fmt"

// unseen names the witness that should have told whether all is well and could not.
func (w testimony) unseen() string {
	switch {
	case w.Clone.State == StateFailed:
		return "the clone could not be read: " + w.Clone.Why
	case w.scenario.Mutation == mutationReflink && w.Clone.State != StateOK:
		return "the clone was not read"
	case w.scenario.Mutation == mutationReflink && w.Clone.CheckedPages < w.pages:
		return fmt.Sprintf("only %d of %d pages of the clone were checked", w.Clone.CheckedPages, w.pages)
	}
	return w.broken()
}

// broken names the witness that watched and did not get to the end: what it would have
// said is not known.
func (w testimony) broken() string {
	switch {
	case w.Probes.State == StateFailed:
		return "the probes failed: " + w.Probes.Why
	case w.Kmsg.State == StateFailed:
		return "the kernel's log could not be read to the end: " + w.Kmsg.Why
	case w.WarningCount.State == StateFailed:
		return "ext4's warning_count could not be read again: " + w.WarningCount.Why
	}
	return ""
}

// mutationReflink is the mutation that takes a clone, which then is to be read.
const mutationReflink = "reflink"
