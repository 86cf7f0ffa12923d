package record

import (
	"fmt"

	"umemstress/workload/scenario"
)

// Conclude completes the record with what follows from its channels.
func (r *Record) Conclude() {
	r.Verdict, r.Reason = Judge(r)
	r.Consequences = consequences(r)
	r.Disagreements = disagreements(r)
}

// consequences are what a run came to, in words that can be searched for.
func consequences(r *Record) []string {
	var found []string
	add := func(when bool, format string, args ...any) {
		if when {
			found = append(found, fmt.Sprintf(format, args...))
		}
	}
	c := r.Channels
	add(c.Arrival.CorruptBytes > 0, "traffic-corrupt: %d bytes", c.Arrival.CorruptBytes)
	add(c.Clone.State == StateOK && c.Clone.ChangedPages > 0, "clone-changed: %d pages", c.Clone.ChangedPages)
	add(c.Disk.State == StateOK && c.Disk.StalePages > 0, "stale-on-disk: %d pages", c.Disk.StalePages)
	add(c.Cache.State == StateOK && c.Cache.StalePages > 0, "stale-in-cache: %d pages", c.Cache.StalePages)
	w := testimonyOf(r)
	add(failed(w.settled.Msync), "msync-failed: %s", w.settled.Msync)
	add(failed(w.settled.Fsync), "fsync-failed: %s", w.settled.Fsync)
	add(c.Disk.RefusedWrites > 0, "writes-refused: %d pages after fsync", c.Disk.RefusedWrites)
	add(w.detached() > 0, "dirtied-detached: %d pages", w.detached())
	mutated, _ := r.waited()
	add(mutated.Unwoken, "waiter-not-woken: %s", r.Scenario.Mutation)
	add(c.Kmsg.Oopses > 0, "kernel-oops: %s", c.Kmsg.Oops)
	add(w.bufferless() != "" && c.Accounting.Leaked() > 0, "nr_dirty-leaked: %d pages", c.Accounting.Leaked())
	return found
}

// disagreements compares channels that count the same thing.
func disagreements(r *Record) []string {
	var found []string
	add := func(when bool, format string, args ...any) {
		if when {
			found = append(found, fmt.Sprintf(format, args...))
		}
	}
	c, w := r.Channels, testimonyOf(r)
	probed := c.Probes.State == StateOK
	add(probed && c.Probes.BufferlessPages > 0 && !w.facts.DropsBufferless,
		"probes report %d buffer-less pages on %s, which needs no buffers", c.Probes.BufferlessPages, r.Scenario.Filesystem)
	found = append(found, w.disputedStrip()...)
	if r.Done(scenario.PhaseSettle) { // else some are still to be dropped, between one count and the next
		found = append(found, w.disputedDrop()...)
	}
	if r.Verdict == DataLost && w.facts.DropsBufferless && r.Scenario.Mutation == "none" {
		found = append(found, w.disputedLoss()...)
	}
	return found
}

// failed says whether an answer of msync or fsync is an error's.
func failed(answer string) bool { return answer != "" && answer != "0" && answer != NotAsked }
