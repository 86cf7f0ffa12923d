package record

import "fmt"

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
	add(c.Clone.State == StateOK && c.Clone.ChangedPages > 0, "clone-changed: %d pages", c.Clone.ChangedPages)
	add(c.Disk.State == StateOK && c.Disk.StalePages > 0, "stale-on-disk: %d pages", c.Disk.StalePages)
	add(c.Cache.State == StateOK && c.Cache.StalePages > 0, "stale-in-cache: %d pages", c.Cache.StalePages)
	w := testimonyOf(r)
	add(failed(w.settled.Msync), "msync-failed: %s", w.settled.Msync)
	add(failed(w.settled.Fsync), "fsync-failed: %s", w.settled.Fsync)
	add(c.Disk.RefusedWrites > 0, "writes-refused: %d pages after fsync", c.Disk.RefusedWrites)
	add(w.detached() > 0, "dirtied-detached: %d pages", w.detached())
	bufferless, _ := w.bufferless()
	add(bufferless > 0 && c.Accounting.Leaked() > 0, "nr_dirty-leaked: %d pages", c.Accounting.Leaked())
	return found
}

// disagreements compares channels that count the same thing. Each page that was
// dirtied without buffers is one warning of ext4's code and one stale page on the
// disk, whatever the size of its blocks.
func disagreements(r *Record) []string {
	var found []string
	c, facts := r.Channels, testimonyOf(r).facts
	if c.Probes.State == StateOK && c.Probes.BufferlessPages > 0 && !facts.DropsBufferless {
		found = append(found, fmt.Sprintf("probes report %d buffer-less pages on %s, which needs no buffers", c.Probes.BufferlessPages, r.Scenario.Filesystem))
	}
	if r.Verdict != DataLost || !facts.DropsBufferless || r.Scenario.Mutation != "none" {
		return found
	}
	if rise, known := c.WarningRise(); known && rise != c.Disk.StalePages {
		found = append(found, fmt.Sprintf("warning_count rose by %d, and %d pages are stale on disk", rise, c.Disk.StalePages))
	}
	if c.Probes.State == StateOK && c.Probes.BufferlessPages != c.Disk.StalePages {
		found = append(found, fmt.Sprintf("the probes counted %d buffer-less pages, and %d are stale on disk", c.Probes.BufferlessPages, c.Disk.StalePages))
	}
	return found
}

// failed says whether an answer of msync or fsync is an error's.
func failed(answer string) bool { return answer != "" && answer != "0" && answer != NotAsked }
