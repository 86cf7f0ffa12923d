// Package probes watches, with eBPF, the pages that a holder dirties behind a
// file system's back when it lets go of them.
//
// [Attach] puts the programs of bpf/dirty.bpf.c on the functions named in
// hooks.go: one in which the holder releases its pages, and the one that every
// page of every file system passes when it is dirtied. A page that comes to the
// latter inside the former, and is clean then, was dirtied without the file
// system being told: only writeback cleans a page, and it takes the notice away
// as it does (it write-protects the page; a fault would have told, and left the
// page dirty). Three things are told apart, and explained at [event.Event]:
// unannounced pages, of any file system; bufferless ones, of ext4; and detached
// ones, whose file has let go of them.
//
// A [Session] watches one holder. It has exact counts per file, kept in the
// kernel ([Session.Counts]), single events ([Session.Events]), and what was lost
// of either ([Session.Lost]). Both are plain values of package event.
package probes
