// Package probes watches, with eBPF, the pages that the release of a pinned
// region dirties behind a file system's back.
//
// [Attach] puts the programs of bpf/dirty.bpf.c on the functions named in
// hooks.go and returns a [Session]: exact counts per file kept in the kernel
// ([Session.Counts]), single events ([Session.Events]), and what was lost of
// either ([Session.Lost]). The events are plain values of package event.
package probes
