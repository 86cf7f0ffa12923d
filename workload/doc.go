// Package workload makes pages that a holder keeps pinned lose their data, and
// proves it.
//
// It is the run itself. [Run] drives a scenario, holder × file system × strip × mutation
// × folios, through fixed phases over a file-backed and an anonymous region:
//
//	prepare → pin → write → clean → strip → mutate → write-again → release → settle → verify
//
// What a scenario can name is in the packages below: holder and its folders, filesystem,
// strip, mutation, folio. Each has the facts of what it makes beside the code, and tables.go puts
// them together: a new holder is a folder, and an entry there.
//
// Channels witness independently of each other: probes (eBPF, through witness.Observer), the
// kernel's log, ext4's warning count, the disk, the clone and the page cache (every page of
// the file read back), and nr_dirty, and the frames that hold the pinned pages. Everything goes into a record, the evidence's run.json,
// as it happens; package record turns that into a verdict and reads nothing else, so the
// same evidence gives the same verdict anywhere.
//
// A program that calls [Run] calls [RunChild] before anything else in its main function. A run
// with the strip memcg moves the whole process into a cgroup and back, so one process makes one
// such run at a time.
//
// Start reading at scenario/scenario.go, then tables.go, run.go, phases.go and record/judge.go.
package workload
