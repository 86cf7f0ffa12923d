package kmsg

import (
	"regexp"
	"strings"
)

// Oopses counts deaths of a thread of the kernel. What the kernel prints of one:
//
//	BUG: kernel NULL pointer dereference, address: 0000000000000000   (arch/x86/mm/fault.c, page_fault_oops)
//	kernel BUG at fs/ext4/inode.c:2662!                               (lib/bug.c, report_bug)
//	invalid opcode: 0000 [#1] SMP NOPTI                               (arch/x86/kernel/dumpstack.c, __die_header; "Oops: " before it since 6.10)
//	CPU: 0 PID: 99 Comm: umemstress Tainted: G        W ...           (lib/dump_stack.c; "UID: 0 " before PID since 6.11)
//	RIP: 0010:mpage_prepare_extent_to_map+0x267/0x290 [ext4]
//	Call Trace:
//	 ext4_writepages+0x1e0/0xfa0 [ext4]
//	RIP: 0033:0x40d00e                                                (of the system call; or </TASK>, or what follows)
type Oopses struct {
	Comm  string // of the threads that are ours
	All   uint64
	Ours  uint64
	First string // what the kernel said of the first one, and where it was

	said   string // before the header
	inside bool   // the header of one was read, and not yet the end of its call trace
	calls  int    // of that trace that were taken
}

var (
	saidLine   = regexp.MustCompile(`\] (BUG: kernel .*|BUG: unable to handle .*|kernel BUG at .*)`)
	headerLine = regexp.MustCompile(`\] (.*: [0-9a-f]{4} \[#[0-9]+\].*)`)
	commLine   = regexp.MustCompile(`\] CPU: [0-9]+ (?:UID: [0-9]+ )?PID: [0-9]+ Comm: (.*?) (?:Not tainted|Tainted: )`)
	placeLine  = regexp.MustCompile(`\] RIP: 0010:([^+\s]+)`)
	callLine   = regexp.MustCompile(`\]  +([A-Za-z_][^+\s]*)\+0x[0-9a-f]+/0x[0-9a-f]+`)
	endLine    = regexp.MustCompile(`\] (?: ?</TASK>|RIP: 0033:|Modules linked in:|---\[ end trace)`)
)

// maxCalls is how many callers of the place are told.
const maxCalls = 3

// Told says whether a thread died, and the kernel has said where.
func (o *Oopses) Told() bool { return o.All > 0 && !o.inside }

// Add takes a line into account.
func (o *Oopses) Add(line string) {
	if m := saidLine.FindStringSubmatch(line); m != nil {
		o.said = strings.TrimSuffix(m[1], "!")
		return
	}
	if m := headerLine.FindStringSubmatch(line); m != nil {
		o.All++
		o.inside = true
		if o.said == "" {
			o.said = m[1]
		}
		if o.All == 1 {
			o.First = o.said
		}
		o.said = ""
		return
	}
	if !o.inside {
		return
	}
	if m := commLine.FindStringSubmatch(line); m != nil && m[1] == o.Comm {
		o.Ours++
	}
	switch {
	case endLine.MatchString(line):
		o.inside = false
	case o.All > 1:
	case placeLine.MatchString(line):
		o.First += ", in " + placeLine.FindStringSubmatch(line)[1]
	case callLine.MatchString(line) && o.calls < maxCalls:
		o.First += " ← " + callLine.FindStringSubmatch(line)[1]
		o.calls++
	}
}
