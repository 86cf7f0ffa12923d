// Package workload makes pages that a holder keeps pinned lose their data, and
// proves it.
//
// A Scenario is holder × file system × strip × mutation. Run drives it through
// fixed phases over a file-backed and an anonymous region:
//
//	prepare → pin → write → clean → strip → write-again → release → settle → verify
//
// Channels witness independently of each other: probes (eBPF, through the
// Observer interface), kmsg (the kernel's log and ext4's own warning count) and
// disk (every page read back with O_DIRECT). Everything goes into a Record, the
// evidence's run.json, as it happens; Judge turns a Record into a Verdict and
// reads nothing else, so the same evidence gives the same verdict anywhere.
//
// Start reading at scenario.go, then run.go, phases.go and verdict.go.
package workload
