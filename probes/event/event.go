// Package event holds what the probes witness as plain types, with no eBPF
// import, so that reports and verdicts read recorded events on any machine.
package event

// The holders whose releases the probes can watch.
const (
	// HolderUmem is an RDMA region: ib_umem_release.
	HolderUmem = "umem"
	// HolderDIO is a direct read whose buffer is a mapping. Its pages are
	// released when the read completes, often by a worker of the kernel (from
	// bio_dirty_fn): the event's PID, TID and Comm are then the worker's.
	HolderDIO = "dio"
	// HolderVMWritev is process_vm_writev into a mapping, and whoever else
	// calls unpin_user_pages_dirty_lock: an RDMA region before Linux 5.13.
	HolderVMWritev = "vmwritev"
)

// Inode names a file in the kernel's words. A block device itself has its own
// number as Device, and 0 as Number. Pages detached from their file have 0 as
// both.
type Inode struct {
	Device uint32 `json:"device"` // dev_t, of the file's super_block: major<<20 | minor (include/linux/kdev_t.h)
	Number uint64 `json:"inode"`  // inode.i_ino
}

// Event is a run of consecutive pages of one file that one release dirtied in
// the same state. A run is as long as the release made it, so a whole region
// may be one event.
type Event struct {
	TimeNS uint64 `json:"time_ns"` // of the first page, bpf_ktime_get_ns: CLOCK_MONOTONIC, nanoseconds
	Inode  Inode  `json:"file"`
	Index  uint64 `json:"index"` // first page's index in the file, in pages
	Pages  uint64 `json:"pages"` // length of the run, in pages
	// Folios is how many folios these pages are: as many, where all are single pages. A large
	// folio is dirtied, and counted, as a whole, even if the holder has a part of it.
	Folios uint64 `json:"folios"`
	// Filesystem is its type's name ("ext4"), at most 15 bytes. "bdev" is a
	// block device itself, "" the file system of a detached page.
	Filesystem string `json:"filesystem"`
	// Bufferless pages had no buffers in a file where a dirty page must have
	// them, or it is not written: one that ext4's code serves (and that of ext2
	// or ext3, where ext4 stands in for them), unless it is DAX.
	Bufferless bool `json:"bufferless"`
	// Unannounced pages, which are all but detached ones, were clean when they were dirtied, and so the file
	// system had not been told of it since writeback. File systems that write
	// nothing back (tmpfs, hugetlbfs) are never told, and lose nothing by it.
	Unannounced bool `json:"unannounced"`
	// Detached pages had been taken out of their file while they were held (by
	// truncation, a punched hole, a direct write to the range). What was
	// written to them is lost. The file is not known any more, the index is.
	// Such pages are neither Bufferless nor Unannounced.
	Detached bool     `json:"detached"`
	Holder   string   `json:"holder"` // HolderUmem, ...
	PID      uint32   `json:"pid"`    // thread group
	TID      uint32   `json:"tid"`
	Comm     string   `json:"comm"`
	Stack    []string `json:"stack,omitempty"` // innermost first, "symbol+0xoffset"; filled on demand

	// StackID is the kernel's number for the stack of the run's first page,
	// negative if there is none. It means something only beside what the same
	// session named: run.json's stacks have its functions.
	StackID int32 `json:"stack_id"`
}

// Count is what the kernel side counted for one file, or for all detached pages
// together if Inode is zero. It is exact: it does not depend on events having
// been delivered. The counts are of pages as Event tells them apart.
type Count struct {
	Inode            Inode  `json:"file"`
	Filesystem       string `json:"filesystem"`
	BufferlessPages  uint64 `json:"bufferless_pages"`
	UnannouncedPages uint64 `json:"unannounced_pages"`
	DetachedPages    uint64 `json:"detached_pages"`
	DirtiedPages     uint64 `json:"dirtied_pages"` // every page that a release dirtied; not one that was dirty when it came to it
	// Folios of these pages: see Event.Folios. ext4 warns once for each buffer-less folio.
	DirtiedFolios    uint64 `json:"dirtied_folios"`
	BufferlessFolios uint64 `json:"bufferless_folios"`
}

// Lost is everything that the kernel side could not deliver or count. Counts are
// exact if Pages and Releases are 0, and may be wrong, either way, if not.
//
// Calls that a probe missed are in Pages and Releases as far as the kernel counts
// them: of fentry since Linux 5.12, of kprobes since 6.7. It cannot tell whether a
// missed call would have mattered.
type Lost struct {
	Events   uint64 `json:"events"`   // runs that found the ring full; their pages were counted
	Pages    uint64 `json:"pages"`    // pages or folios that were not counted: the table of files was full, the page unreadable, the call missed
	Releases uint64 `json:"releases"` // releases that found too many others in progress, or whose beginning or end was missed
	Stacks   uint64 `json:"stacks"`   // events that carry no stack although it was asked for
}
