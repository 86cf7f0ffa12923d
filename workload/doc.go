// Package workload makes pages that a holder keeps pinned lose their data, and
// proves it.
//
// A Scenario is holder × file system × strip × mutation. Run drives it through
// fixed phases over a file-backed and an anonymous region:
//
//	prepare → pin → write → clean → strip → mutate → write-again → release → settle → verify
//
// Each part of a scenario is a table of entries: holder.go, filesystem.go,
// strip.go, mutation.go. Flags, help and validation read them; sense.go says
// which combinations show nothing. A new holder is a file and a line.
//
// Channels witness independently of each other: probes (eBPF, through the
// Observer interface), kmsg (the kernel's log and ext4's own warning count),
// disk, clone and cache (every page of the file on disk, of its reflink copy and
// in the page cache) and accounting (nr_dirty). Everything goes into a Record,
// the evidence's run.json, as it happens; Judge turns a Record into a Verdict
// and reads nothing else, so the same evidence gives the same verdict anywhere.
//
// Start reading at scenario.go, then run.go, phases.go and verdict.go.
package workload
