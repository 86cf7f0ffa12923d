package scenario

// Holder is what is known of a holder.
type Holder struct {
	Choice
	Does       string // what brings the bytes, as in "bytes that arrive by ..."
	PinsSource bool   // the anonymous region is pinned, too
	Once       bool   // it brings each byte once, and cannot repeat its traffic
	OneWay     bool   // it brings nothing back from the target
	Remaps     bool   // it maps the target a second time, which is not made for huge pages
	PinsAs     string // the holder that pins in the same way; this one is released elsewhere. Empty: none
	ByFrames   bool   // that it has released pages is read from their frames
	Probed     string // what the probes call its release (event.HolderUmem, ...)
	// PinsCounted: every kernel counts its pins as such (FOLL_PIN), so that the probes can
	// see that the pages they strip are pinned.
	PinsCounted bool
	// LeftClean are the pages that it lets go of without marking them dirty, on every kernel.
	LeftClean LeftClean
}

// Backing is what a file system keeps its files on.
type Backing int

// The backings.
const (
	OnDisk   Backing = iota // a loop device
	OnDevice                // it is the loop device itself
	InMemory                // nothing but memory
	OnServer                // a server of the run's own, in another process
	OnPmem                  // persistent memory that the user named, mapped directly (DAX): there is no page cache
)

// Filesystem is what is known of a file system.
type Filesystem struct {
	Choice
	Backing Backing
	// WrittenAs is the file system whose code writes its pages in the same way; this one is another
	// in where blocks lie, or in what becomes of the bytes below. Empty: none.
	WrittenAs string
	// DropsBufferless: ext4's code writes it, which drops a dirty page that has no
	// buffers (fs/ext4/inode.c, mpage_prepare_extent_to_map).
	DropsBufferless bool
	// Heals: a page that was dirtied unannounced, and kept its buffers or gets new
	// ones, is written where it belongs. On ext4 the buffers still map the page to its
	// blocks, and block_dirty_folio marks them dirty; the generic code of fs/buffer.c
	// (block_write_full_page) makes buffers where there are none.
	Heals bool
	// JournalsData: what is read with O_DIRECT comes from the page cache all the same
	// (ext4_should_use_dio), and the journal is to have room for the file.
	JournalsData              bool
	Reflink, Punch, ZeroRange bool
	// BlockBytes is the size of its blocks, where a file system of the user's must have it.
	BlockBytes int64
	// PageBytes is what a page of it holds; 0: a page of the machine.
	PageBytes int64
	// Deadly are functions of the kernel that meet the pages which were dirtied behind its
	// back, and in which threads have died of that.
	Deadly []string
	// LargeFolios: some kernels hold its files in large folios, and runs are known to get them.
	LargeFolios bool
}

// Strip is what is known of a way to strip.
type Strip struct {
	Choice
	NeedsLarge bool // it does something to large folios alone
	Splits     bool // it has the kernel split a large folio that is mapped in part
}

// Mutation is what is known of a mutation.
type Mutation struct {
	Choice
	Detaches bool // the pages are to be nobody's afterwards, while they are still pinned
	// Beside: it touches no byte of the region, but bytes next to it. Where the folio that
	// holds both is large, and cannot be split because it is pinned, the kernel may take it
	// from the file as a whole (mm/truncate.c, truncate_inode_partial_folio).
	Beside bool
}

// Folios is what is known of the sizes in which the page cache is made to hold the file.
type Folios struct {
	Choice
	Part bool // the region is a part of the file unless something else is asked for
}

// Facts are what the judge and the reports need to know of a scenario's parts. They
// are copied into run.json, so that facts which are learnt later rejudge no old evidence.
type Facts struct {
	// Arrival names what brings the bytes, as in "bytes that arrive by ...".
	Arrival string `json:"arrival"`
	// InMemory: the file system has no disk, so that the cache channel judges.
	InMemory bool `json:"in_memory"`
	// DropsBufferless: see Filesystem.
	DropsBufferless bool `json:"drops_bufferless"`
	// Heals: see Filesystem.
	Heals bool `json:"heals"`
	// Detaches: the mutation takes the pages from their file, or may do so where it works
	// beside them.
	Detaches bool `json:"detaches"`
	// PinsCounted: see Holder. False, too, in evidence from before it was recorded.
	PinsCounted bool `json:"pins_counted,omitempty"`
	// LeftClean: see Holder; or what it does on this kernel: see holder.Adjuster.
	LeftClean LeftClean `json:"left_clean,omitempty"`
	// JournalsData: see Filesystem.
	JournalsData bool `json:"journals_data,omitempty"`
	// DAX: the file's pages are those of the device. There is no page cache between the two, and so
	// no writeback, no buffers, and no page that could be dirtied unannounced.
	DAX bool `json:"dax,omitempty"`
	// Deadly are the kernel's functions in which a thread dies of this bug: a death in
	// another is of something else.
	Deadly []string `json:"deadly,omitempty"`
}
