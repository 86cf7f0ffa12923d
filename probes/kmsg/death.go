package kmsg

import (
	"slices"
	"strings"
)

// Death is the end of a thread of the kernel, or of the machine, as the kernel told of it.
type Death struct {
	Kind     string   // Oops, Panic, or Hung, which is no death yet
	Said     string   // the kernel's words for it
	Comm     string   // of the thread, with PID
	PID      uint64   // as the kernel counts threads
	Work     string   // that a worker of the kernel did, such as "writeback wb_workfn (flush-7:0)"
	Place    string   // the function
	Calls    []string // that led there, the nearest first; at most maxCalls
	Panicked bool     // the machine died of it
}

// maxCalls ends before the system call only in traces that tell nothing more.
const maxCalls = 24

// maxDeaths is how many Deaths keeps. What comes after the first tells little of it.
const maxDeaths = 8

// Deaths finds deaths in the lines of a log. What the kernel prints of one is, with the kinds of
// the lines:
//
//	BUG: kernel NULL pointer dereference, address: 0000000000000000   Fault
//	kernel BUG at fs/ext4/inode.c:2662!                               or Bug, or neither
//	invalid opcode: 0000 [#1] SMP NOPTI                               Oops
//	CPU: 0 PID: 99 Comm: umemstress Tainted: G        W ...           Task
//	Workqueue: writeback wb_workfn (flush-7:0)                        Work, of a worker
//	RIP: 0010:mpage_prepare_extent_to_map+0x267/0x290 [ext4]          Place
//	Call Trace:
//	 ext4_writepages+0x1e0/0xfa0 [ext4]                               Call, and more of them
//	RIP: 0033:0x40d00e                                                TraceEnd
//	Kernel panic - not syncing: Fatal exception                       Panic, if the machine goes with it
//
// and of a warning that is to be the machine's death (panic_on_warn), since the panic comes
// first:
//
//	WARNING: CPU: 1 PID: 103 at fs/ext4/inode.c:3707 ...              Warning
//	Kernel panic - not syncing: panic_on_warn set ...                 Panic
//	CPU: 1 PID: 103 Comm: umemstress ...                              Task
//	Call Trace:
//	 panic+0x101/0x2e3                                                Call: of the panic itself
//	RIP: 0010:ext4_set_page_dirty+0x48/0x50 [ext4]                    Place
//	 set_page_dirty_lock+0x2e/0x50                                    Call
type Deaths struct {
	All []Death // the first maxDeaths

	dead   uint64 // all, without those that hang
	more   bool   // than maxDeaths
	trace  Trace  // of the last one
	said   string // before the header of an oops
	warned string // the last warning, of which a panic may come
	extra  Death  // takes what is said of one too many
}

// Count is how many there were, without what only hangs.
func (d *Deaths) Count() uint64 { return d.dead }

// Told says whether a thread or the machine died, and the kernel has said where. Of what hangs, see
// Hangs.
func (d *Deaths) Told() bool {
	for _, death := range d.All {
		if death.Kind != string(Hung) {
			return !d.trace.Open || len(d.All) > 1
		}
	}
	return false
}

// Hangs says whether a task waits for too long. It is not dead, and may only be slow: who asks has to
// say what it is to them.
func (d *Deaths) Hangs() bool {
	return slices.ContainsFunc(d.All, func(death Death) bool { return death.Kind == string(Hung) })
}

// Add takes a line into account.
func (d *Deaths) Add(l Line) {
	switch {
	case l.Kind == Bug || l.Kind == Fault:
		d.said = strings.TrimSuffix(l.Text, "!")
	case l.Kind == Warning:
		d.warned = l.Text
	case l.Kind == Oops:
		if d.said == "" {
			d.said = l.Text
		}
		d.begin(Death{Kind: string(Oops), Said: d.said})
		d.said = ""
	case l.Kind == Hung:
		d.begin(Death{Kind: string(Hung), Said: l.Text, Comm: l.Comm, PID: l.PID})
		d.trace.Named = true
	case l.Kind == Panic:
		d.panicked(l.Text)
	default:
		d.trace.Follow(d.last(), l)
	}
}

func (d *Deaths) begin(death Death) {
	if death.Kind != string(Hung) {
		d.dead++
	}
	d.trace = Trace{Open: true}
	if d.more = len(d.All) == maxDeaths; !d.more {
		d.All = append(d.All, death)
	}
}

func (d *Deaths) last() *Death {
	if d.more || len(d.All) == 0 {
		return &d.extra
	}
	return &d.All[len(d.All)-1]
}

// panicked takes the end of the machine into account: of the death before, where the words say
// so, or one by itself.
func (d *Deaths) panicked(text string) {
	switch cause := CauseOf(text); {
	case cause == OfDeath && len(d.All) > 0:
		d.last().Panicked, d.trace.Open = true, false
		return
	case cause == OfWarning && d.warned != "":
		text = d.warned + "; " + text
	}
	d.begin(Death{Kind: string(Panic), Said: text, Panicked: true})
}
