package kmsg

import "strings"

// Kind is what a line of the kernel's log tells.
type Kind string

// The kinds. A line of any other kind tells nothing of what is looked for here.
const (
	Warning    Kind = "warning"    // a WARN(): nobody dies, and a WARN_ON_ONCE() speaks once a boot
	Bug        Kind = "bug"        // a BUG(): an oops follows
	Fault      Kind = "fault"      // the kernel touched memory that is not there: an oops follows
	Report     Kind = "report"     // another "BUG: ", such as a sanitizer's or a bad page's
	Oops       Kind = "oops"       // the header of an oops: a thread of the kernel dies here
	Panic      Kind = "panic"      // the machine is dead
	Hung       Kind = "hung"       // a task waits for too long, uninterruptibly
	Lockup     Kind = "lockup"     // a CPU does nothing else for too long
	Bufferless Kind = "bufferless" // ext4 drops a dirty page, or folio, without buffers
	Untold     Kind = "untold"     // btrfs finds a dirty page, or folio, that it was not told of
	FSWarning  Kind = "fs-warning" // a file system warns of something else
	FSError    Kind = "fs-error"   // a file system says that something is wrong
	Suppressed Kind = "suppressed" // the rate limit swallowed messages; said when the next one is let through, so perhaps never

	Boot Kind = "boot" // the first line of a boot

	// Parts of the trace that follows an oops or a warning.
	Task     Kind = "task"      // whose thread it is
	Work     Kind = "work"      // what it did, of a worker of the kernel
	Place    Kind = "place"     // where in the kernel
	Call     Kind = "call"      // who called that
	TraceEnd Kind = "trace-end" // of the system call, or what follows the trace
)

// Line is a line of the kernel's log, with what its kind says in fields. What a kernel
// leaves out is empty.
type Line struct {
	Kind Kind
	Text string // the kernel's words, without the time and what else comes before them

	Filesystem string // as in messages: EXT4, BTRFS
	Device     string // as in messages: loop0
	Function   string // of the kernel
	File       string // of its source, such as fs/ext4/inode.c
	Number     uint64 // of the line in that file
	CPU        string
	PID        uint64
	Comm       string // the thread's name
	Inode      uint64 // of Bufferless and Untold
	Page       uint64 // of Bufferless and Untold: the page, or where its folio begins; btrfs counts in bytes
	Count      uint64 // of messages that were suppressed
	What       string // these begin with, such as EXT4-fs warning; or the work
	Release    string // of Task and Boot: the kernel's, such as 5.10.0-46-amd64
	Version    string // with Release: of its build, such as "#1 SMP Debian 5.10.262-1"
}

// OfFilesystem says whether the source that the line names is a file system's.
func (l Line) OfFilesystem() bool {
	return strings.HasPrefix(strings.TrimLeft(l.File, "./"), "fs/")
}
