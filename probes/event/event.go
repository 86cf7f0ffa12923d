// Package event holds what the probes witness as plain types, with no eBPF
// import, so that reports and verdicts read recorded events on any machine.
package event

// Inode names a file in the kernel's words.
type Inode struct {
	Device uint32 `json:"device"` // super_block.s_dev: major<<20 | minor (include/linux/kdev_t.h)
	Number uint64 `json:"inode"`  // inode.i_ino
}

// Event is a run of consecutive pages of one file that one release dirtied in
// the same state. A run is as long as the release made it, so a whole region
// may be one event.
type Event struct {
	TimeNS      uint64   `json:"time_ns"` // of the first page, bpf_ktime_get_ns: CLOCK_MONOTONIC, nanoseconds
	Inode       Inode    `json:"file"`
	Index       uint64   `json:"index"` // first page's index in the file, in pages
	Pages       uint64   `json:"pages"` // length of the run, in pages
	Bufferless  bool     `json:"bufferless"`
	Unannounced bool     `json:"unannounced"` // the page was clean when it was dirtied
	Holder      string   `json:"holder"`      // "umem": release of an ib_umem
	PID         uint32   `json:"pid"`         // thread group
	TID         uint32   `json:"tid"`
	Comm        string   `json:"comm"`
	Stack       []string `json:"stack,omitempty"` // innermost first, "symbol+0xoffset"; filled on demand

	// StackID is the kernel's number for the stack of the run's first page,
	// negative if there is none. It means something only beside what the same
	// session named: run.json's stacks have its functions.
	StackID int32 `json:"stack_id"`
}

// Count is what the kernel side counted for one file. It is exact: it does not
// depend on events having been delivered.
type Count struct {
	Inode            Inode  `json:"file"`
	BufferlessPages  uint64 `json:"bufferless_pages"`
	UnannouncedPages uint64 `json:"unannounced_pages"`
	DirtiedPages     uint64 `json:"dirtied_pages"` // every page that a release passed to the file system's dirty hook
}

// Lost is everything that the kernel side could not deliver or count, for want
// of room. Counts are exact if Pages and Releases are 0.
type Lost struct {
	Events   uint64 `json:"events"`   // runs that found the ring full; their pages were counted
	Pages    uint64 `json:"pages"`    // pages that were not counted: the table of files was full, or the page unreadable
	Releases uint64 `json:"releases"` // releases that found too many others in progress; their pages were not looked at
	Stacks   uint64 `json:"stacks"`   // events that carry no stack although it was asked for
}
