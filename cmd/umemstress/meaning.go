package main

import "umemstress/workload"

// meaning says what the run's verdict means to who reads it.
func meaning(r *workload.Record) string {
	switch r.Verdict {
	case workload.Corrupted:
		return "A file that nobody wrote to has changed. On this kernel no bytes may arrive by " + arrival(r) +
			" in a mapping of a file that shares blocks with another."
	case workload.DataLost:
		return "An application would have been told that its data is safe, and it is not: " + whereabouts(r.Channels.Cache)
	case workload.Reproduced:
		return "The dangerous state was reached: pages dirty without the buffers that their file system needs. No byte was lost this time."
	case workload.Exposed:
		return exposure(r.Channels)
	case workload.Refused:
		return "This is good news: this kernel does not let such a pin be taken of a file that must be told of writes, so the loss cannot happen this way."
	case workload.Clean:
		return "Everything ran and nothing was wrong."
	}
	return "The run proves nothing either way: see the reason."
}

// whereabouts says where lost bytes are.
func whereabouts(cache workload.CacheChannel) string {
	switch {
	case cache.State != workload.StateOK:
		return "the file on the disk has other bytes."
	case cache.StalePages == 0:
		return "it lives in the page cache until the page is evicted, then it is gone."
	}
	return "it went into pages that are no longer the file's, and it is gone already."
}

// exposure says how pages fared that were dirtied unannounced.
func exposure(c workload.Channels) string {
	const untold = "Pages were dirtied without the file system being told. "
	switch {
	case c.Disk.State != workload.StateOK:
		return untold + "Whether it got them to the disk was not seen."
	case c.Disk.StalePages > 0:
		return untold + "It noticed and refused to write them: the bytes are lost, but whoever asked was told."
	}
	return untold + "The right bytes are on the disk this time."
}

// arrival names what brings the bytes.
func arrival(r *workload.Record) string {
	if r.Facts == nil { // see workload.Reexamine
		return r.Scenario.Holder
	}
	return r.Facts.Arrival
}
