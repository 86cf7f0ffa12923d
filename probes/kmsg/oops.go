package kmsg

import "strings"

// Oopses counts deaths of a thread of the kernel. What the kernel prints of one is, with the
// kinds of the lines:
//
//	BUG: kernel NULL pointer dereference, address: 0000000000000000   Fault
//	kernel BUG at fs/ext4/inode.c:2662!                               or Bug, or neither
//	invalid opcode: 0000 [#1] SMP NOPTI                               Oops
//	CPU: 0 PID: 99 Comm: umemstress Tainted: G        W ...           Task
//	RIP: 0010:mpage_prepare_extent_to_map+0x267/0x290 [ext4]          Place
//	Call Trace:
//	 ext4_writepages+0x1e0/0xfa0 [ext4]                               Call, and more of them
//	RIP: 0033:0x40d00e                                                TraceEnd
type Oopses struct {
	Comm  string // of the threads that are ours
	All   uint64
	Ours  uint64
	First string // what the kernel said of the first one, and where it was

	said   string // before the header
	inside bool   // the header of one was read, and not yet the end of its call trace
	named  bool   // whose thread it is has been said
	calls  int    // of that trace that were taken
}

// maxCalls is how many callers of the place are told.
const maxCalls = 3

// Told says whether a thread died, and the kernel has said where.
func (o *Oopses) Told() bool { return o.All > 0 && !o.inside }

// Add takes a line into account.
func (o *Oopses) Add(l Line) {
	switch {
	case l.Kind == Bug || l.Kind == Fault:
		o.said = strings.TrimSuffix(l.Text, "!")
	case l.Kind == Oops:
		o.begin(l)
	case o.inside:
		o.follow(l)
	}
}

func (o *Oopses) begin(header Line) {
	o.All++
	o.inside, o.named = true, false
	if o.said == "" {
		o.said = header.Text
	}
	if o.All == 1 {
		o.First = o.said
	}
	o.said = ""
}

// follow takes a line of the trace into account.
func (o *Oopses) follow(l Line) {
	switch {
	case l.Kind == Task:
		o.named = true
		if l.Comm == o.Comm {
			o.Ours++
		}
	case l.Kind == TraceEnd && o.named: // the oldest kernels list their modules before that
		o.inside = false
	case o.All > 1:
	case l.Kind == Place:
		o.First += ", in " + l.Function
	case l.Kind == Call && o.calls < maxCalls:
		o.First += " ← " + l.Function
		o.calls++
	}
}
