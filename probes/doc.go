// Package probes watches, with eBPF, what becomes of pages that a holder pins, and the pages
// that it dirties behind a file system's back when it lets go of them.
//
// [Attach] puts the programs of bpf/dirty.bpf.c on the functions named in
// hooks.go: those in which holders release their pages, and the one that every
// page of every file system passes when it is dirtied. A page that comes to the
// latter inside the former, and is clean then, was dirtied without the file
// system being told: only writeback cleans a page, and it takes the notice away
// as it does (it write-protects the page; a fault would have told, and left the
// page dirty). Three things are told apart, and explained at [event.Event]:
// unannounced pages, of any file system; bufferless ones, of ext4; and detached
// ones, whose file has let go of them.
//
// What else a session can tell ([Options.Kinds], hooks_kinds.go) is how it comes to that, and
// what comes of it: regions that are pinned, refused and released, pinned pages that reclaim
// strips of their buffers, and dirty ones that writeback drops.
//
// A [Session] watches any number of holders, of all files or of those that its filter wants
// ([Session.SetFilter]). It has exact counts per file, holder and owner, kept in the
// kernel ([Session.Counts]), on request who did how much of it ([Session.Acts]), single events
// ([Session.Events]), and what was lost of either ([Session.Lost]). All are plain values of
// package event.
package probes

//go:generate go tool bpf2go -cc clang-14 -strip llvm-strip-14 -target amd64 -type event -type pin_event -type release_event -type number_event -type kind -type holder -type state dirty bpf/dirty.bpf.c -- -O2 -mcpu=v3 -Wall -Werror
