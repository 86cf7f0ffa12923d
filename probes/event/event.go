// Package event holds what the probes witness as plain types, with no eBPF
// import, so that reports and verdicts read recorded events on any machine.
package event

import "time"

// Kind is what an event tells of.
type Kind string

// The kinds. Dirtied is not dropped: the next fault may announce the page to its file
// system in time.
const (
	// Dirtied: a release dirtied a run of pages. "", in evidence from before there were
	// others, means the same.
	Dirtied Kind = "dirtied"
	// Stripped: the buffers of a pinned page are gone, or of all pages of a folio. It is
	// seen of pins that the kernel counts as such (FOLL_PIN), which those of direct reads
	// are since Linux 6.5.
	Stripped Kind = "stripped"
	// Dropped: writeback found a dirty page without buffers, and threw away that it is
	// dirty. Of a large folio there is one event, of its first page.
	//
	// A session that sums up acts tells of Stripped and Dropped the first of consecutive
	// pages or folios alone, and of one process and file no more than 64 times: the counts
	// and the acts have all of them.
	Dropped Kind = "dropped"
	// Pinned: memory that is a file's was pinned for as long as its holder likes, and may be written to by
	// that: an RDMA region, a VMCI queue pair, a V4L2 buffer or the umem of AF_XDP sockets.
	Pinned Kind = "pinned"
	// Numbered: an RDMA region that was Pinned a moment ago has got its number, Region.MRN, by which
	// 'rdma resource show mr' has it. Region is else as it was then.
	Numbered Kind = "numbered"
	// Refused: the kernel refused to pin memory for an RDMA region, a V4L2 buffer or the umem of AF_XDP sockets.
	Refused Kind = "refused"
	// Released: a region ended, of a file, or one that dirtied pages of one.
	Released Kind = "released"
)

// The holders whose releases the probes can watch.
const (
	// HolderUmem is an RDMA region: ib_umem_release.
	HolderUmem = "umem"
	// HolderDIO is a direct read whose buffer is a mapping. Its pages are
	// released when the read completes, often by a worker of the kernel (from
	// bio_dirty_fn): the event's PID, TID and Comm are then the worker's.
	HolderDIO = "dio"
	// HolderVMWritev is process_vm_writev into a mapping, and whoever else
	// calls unpin_user_pages_dirty_lock.
	HolderVMWritev = "vmwritev"
	// HolderVMCI is a VMCI queue pair: vmci_qp_broker_detach.
	HolderVMCI = "vmci"
	// HolderNFS is a direct read from NFS: nfs_direct_read_completion.
	HolderNFS = "nfs"
	// HolderFUSE is a direct read from FUSE: fuse_release_user_pages, or fuse_direct_io.
	HolderFUSE = "fuse"
	// Holder9P is a direct read through netfs, as 9p's: netfs_unbuffered_read_iter_locked.
	Holder9P = "9p"
	// HolderV4L2 is a queue of V4L2 whose buffers are a program's memory: __vb2_queue_free.
	HolderV4L2 = "v4l2"
	// HolderXDP is the umem of AF_XDP sockets: xdp_put_umem.
	HolderXDP = "xdp"
)

// Inode names a file in the kernel's words. A block device itself has its own
// number as Device, and 0 as Number. Pages detached from their file have 0 as
// both.
type Inode struct {
	Device uint32 `json:"device"` // dev_t, of the file's super_block: major<<20 | minor (include/linux/kdev_t.h)
	Number uint64 `json:"inode"`  // inode.i_ino
}

// Owner is the process that holds the pages: it pinned them, was the last one seen to pin
// pages of the file, or, if nobody was, is the one that released them.
type Owner struct {
	PID    uint32 `json:"pid"`    // 0: not known
	Comm   string `json:"comm"`   // of its leader
	Cgroup uint64 `json:"cgroup"` // its id in the unified hierarchy
}

// Region is memory that is pinned for long.
type Region struct {
	Address  uint64  `json:"address"` // in its owner's memory
	Length   uint64  `json:"length"`  // bytes
	PinnedNS uint64  `json:"pinned_ns"`
	Access   uint32  `json:"access"`        // IB_ACCESS_*, include/rdma/ib_verbs.h; of other holders 1 if it may be written to
	Device   string  `json:"device"`        // of RDMA; "" where the kernel did not tell
	MRN      *uint32 `json:"mrn,omitempty"` // the kernel's number of an RDMA region; nil: not known
}

// End is how a region was released, and what that dirtied.
type End struct {
	BufferlessPages  uint64 `json:"bufferless_pages"`
	UnannouncedPages uint64 `json:"unannounced_pages"`
	DetachedPages    uint64 `json:"detached_pages"`
	Exiting          bool   `json:"exiting"` // its process ended
	Signal           uint32 `json:"signal"`  // of which it died; 0: it exited, or goes on
	// Unseen regions were pinned before the session began, or did not fit into its table.
	Unseen bool `json:"unseen"`
}

// Event is what happened to consecutive pages of one file. Those that one release dirtied
// in the same state are one run, so a whole region may be one event.
type Event struct {
	Kind   Kind   `json:"kind,omitempty"`
	TimeNS uint64 `json:"time_ns"` // of the first page, bpf_ktime_get_ns: CLOCK_MONOTONIC, nanoseconds
	Inode  Inode  `json:"file"`
	Index  uint64 `json:"index"` // first page's index in the file, in pages
	// Pages is the length of the run, in pages. Of Pinned it is how many were pinned, 0 if the
	// kernel did not tell; of Released, how many were dirtied.
	Pages uint64 `json:"pages"`
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
	Detached bool `json:"detached"`
	// Holder is HolderUmem, ... or "" of a stripped or dropped page of which none is known.
	Holder string `json:"holder"`
	// PID, TID and Comm are of the task that ran: one that released, reclaimed or wrote back,
	// and often a thread of the kernel.
	PID   uint32   `json:"pid"` // thread group
	TID   uint32   `json:"tid"`
	Comm  string   `json:"comm"`
	Owner Owner    `json:"owner"`
	Stack []string `json:"stack,omitempty"` // innermost first, "symbol+0xoffset"; filled on demand

	// StackID is the kernel's number for the stack of the run's first page,
	// negative if there is none. It means something only beside what the same
	// session named: run.json's stacks have its functions.
	StackID int32 `json:"stack_id"`

	Region *Region  `json:"region,omitempty"` // of Pinned, Refused and Released
	Errno  int32    `json:"errno,omitempty"`  // of Refused: the kernel's answer, positive
	Names  []string `json:"names,omitempty"`  // of Pinned: of the first page's file and its directories, upwards to its file system's root, as far as recorded
	End    *End     `json:"end,omitempty"`    // of Released
}

// Count is what the kernel side counted for one file, holder and owner; of all detached pages
// together if Inode is zero. It is exact: it does not depend on events having
// been delivered. The counts are of pages as Event tells them apart.
type Count struct {
	Inode            Inode  `json:"file"`
	Filesystem       string `json:"filesystem"`
	Holder           string `json:"holder"` // "": not known
	PID              uint32 `json:"pid"`    // of the owner; 0: not known
	BufferlessPages  uint64 `json:"bufferless_pages"`
	UnannouncedPages uint64 `json:"unannounced_pages"`
	DetachedPages    uint64 `json:"detached_pages"`
	DirtiedPages     uint64 `json:"dirtied_pages"` // every page that a release dirtied; not one that was dirty when it came to it
	// Folios of these pages: see Event.Folios. ext4 warns once for each buffer-less folio.
	DirtiedFolios    uint64 `json:"dirtied_folios"`
	BufferlessFolios uint64 `json:"bufferless_folios"`
	StrippedPages    uint64 `json:"stripped_pages"`
	StrippedFolios   uint64 `json:"stripped_folios"`
	DroppedFolios    uint64 `json:"dropped_folios"` // one warning of ext4 each
}

// Add adds what other counted.
func (c *Count) Add(other Count) {
	c.BufferlessPages += other.BufferlessPages
	c.UnannouncedPages += other.UnannouncedPages
	c.DetachedPages += other.DetachedPages
	c.DirtiedPages += other.DirtiedPages
	c.DirtiedFolios += other.DirtiedFolios
	c.BufferlessFolios += other.BufferlessFolios
	c.StrippedPages += other.StrippedPages
	c.StrippedFolios += other.StrippedFolios
	c.DroppedFolios += other.DroppedFolios
}

// Of sums up what was counted of a file, whoever held and owned its pages.
func Of(counts []Count, file Inode) Count {
	sum := Count{Inode: file}
	for _, c := range counts {
		if c.Inode == file {
			sum.Filesystem = c.Filesystem
			sum.Add(c)
		}
	}
	return sum
}

// Act is what one process did to pages of one file, whose owner is another's or its own. Acts are
// summed up in the kernel, and exact as Count is.
type Act struct {
	Kind   Kind   `json:"kind"` // Dirtied, Stripped or Dropped
	Inode  Inode  `json:"file"`
	Holder string `json:"holder"`
	// PID and Comm are of the process that released, reclaimed or wrote back: see Event.
	PID    uint32 `json:"pid"`
	Comm   string `json:"comm"`
	Owner  Owner  `json:"owner"` // without its cgroup
	Pages  uint64 `json:"pages"` // of Dropped as many as Folios, whatever their size
	Folios uint64 `json:"folios"`
}

// Totals is all that was counted since the session began.
type Totals struct {
	// Holders has a Count of no file for each holder, and "" for what no holder is known of.
	Holders map[string]Count `json:"holders"`
	// RDMA regions of files that were seen to be registered and released, and of any memory that were refused.
	Pinned   uint64 `json:"pinned_regions"`
	Refused  uint64 `json:"refused_regions"`
	Released uint64 `json:"released_regions"`
}

// Sum is of all holders.
func (t Totals) Sum() Count {
	var sum Count
	for _, c := range t.Holders {
		sum.Add(c)
	}
	return sum
}

// Filter says what is wanted: of each list that is not empty, an event must name a member.
// An event whose owner is not known is judged by the task that ran. Detached pages have lost
// their file, and pass for any.
type Filter struct {
	PIDs    []uint32 // thread groups
	Cgroups []uint64
	Files   []Inode
	Devices []uint32 // as in Inode
}

// Lost is everything that the kernel side could not deliver or count. Counts are
// exact if Pages and Releases are 0, and may be wrong, either way, if not.
//
// Calls that a probe missed are counted as far as the kernel counts
// them: of fentry since Linux 5.12, of kprobes since 6.7. It cannot tell whether a
// missed call would have mattered.
type Lost struct {
	Events   uint64 `json:"events"`         // events that found the ring full; their pages were counted
	Pages    uint64 `json:"pages"`          // pages or folios that were not counted: the table of files was full, the page unreadable, the call missed
	Releases uint64 `json:"releases"`       // releases that found too many others in progress, or whose beginning or end was missed
	Stacks   uint64 `json:"stacks"`         // events that carry no stack although it was asked for
	Pins     uint64 `json:"pins"`           // pins that found their table full, or were missed: their owners may not be named
	Strips   uint64 `json:"strips"`         // missed calls that might have told of a page stripped or dropped
	Acts     uint64 `json:"acts,omitempty"` // events that found the table of acts full, so that its sums have less than the counts
}

// Cost is what a hook has taken since it was attached, and missed.
type Cost struct {
	Purpose, Symbol, Method string
	// Missed are calls of the function for which no program ran. Not every kernel counts them.
	Missed uint64
	// Runs and Time are of its programs, while the kernel measures programs: 0 otherwise.
	Runs uint64
	Time time.Duration
}

// Any says whether anything was lost.
func (l Lost) Any() bool { return l != Lost{} }
