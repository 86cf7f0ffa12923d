package report

import (
	"slices"

	"umemstress/workload/record"
)

// meaning says what the run's verdict means to who reads it.
func meaning(r *record.Record) string {
	switch r.Verdict {
	case record.Crashed:
		return "The kernel died of what an ordinary program may do, and what it held locked stays locked: reboot this machine (echo b > /proc/sysrq-trigger where reboot hangs)."
	case record.Corrupted:
		return "A file that nobody wrote to has changed. On this kernel no bytes may arrive by " + arrival(r) +
			" in a mapping of a file that shares blocks with another."
	case record.DataLost:
		return "An application would have been told that its data is safe, and it is not: " + whereabouts(r.Channels.Cache)
	case record.Reproduced:
		return "The dangerous state was reached: pages dirty without the buffers that their file system needs. No byte was lost this time."
	case record.Exposed:
		return exposure(r.Channels)
	case record.Refused:
		if r.Facts != nil && r.Facts.DAX {
			return "This is good news: the kernel lets nobody pin pages of persistent memory for long, which are the file's blocks themselves."
		}
		return "This is good news: this kernel does not let such a pin be taken of a file that must be told of writes, so the loss cannot happen this way."
	case record.Clean:
		if slices.ContainsFunc(r.Phases, func(p record.Phase) bool { return p.Unwoken }) {
			return "The file is right, and yet this kernel is not: who takes pages of such a file waits on when they are free, until a signal comes, and with no signal for ever."
		}
		return "Everything ran and nothing was wrong."
	}
	return "The run proves nothing either way: see the reason."
}

// whereabouts says where lost bytes are.
func whereabouts(cache record.CacheChannel) string {
	switch {
	case cache.State != record.StateOK:
		return "the file on the disk has other bytes."
	case cache.StalePages == 0:
		return "it lives in the page cache until the page is evicted, then it is gone."
	}
	return "it went into pages that are no longer the file's, and it is gone already."
}

// exposure says how pages fared that were dirtied unannounced.
func exposure(c record.Channels) string {
	const untold = "Pages were dirtied without the file system being told. "
	switch {
	case c.Disk.State != record.StateOK:
		return untold + "Whether it got them to the disk was not seen."
	case c.Disk.StalePages > 0:
		return untold + "It noticed and refused to write them: the bytes are lost, but whoever asked was told."
	}
	return untold + "The right bytes are on the disk this time."
}

// arrival names what brings the bytes.
func arrival(r *record.Record) string {
	if r.Facts == nil { // as in evidence from before they were recorded
		return r.Scenario.Holder
	}
	return r.Facts.Arrival
}
