package record

// NoChannels are channels of which none has been posted.
func NoChannels() Channels {
	return Channels{
		Probes: ProbesChannel{State: StateAbsent},
		Kmsg:   KmsgChannel{State: StateAbsent},
		Disk:   DiskChannel{State: StateAbsent},
		Clone:  CloneChannel{State: StateAbsent},
		Cache:  CacheChannel{State: StateAbsent},

		WarningCount: WarningCountChannel{State: StateAbsent},
		Accounting:   AccountingChannel{State: StateAbsent},
		Folios:       FoliosChannel{State: StateAbsent},
		Arrival:      ArrivalChannel{State: StateAbsent},
		Console:      ConsoleChannel{State: StateAbsent},
	}
}

// StateOf is the state of a channel that did its work, or did not, and why.
func StateOf(err error) (state, why string) {
	if err != nil {
		return StateFailed, err.Error()
	}
	return StateOK, ""
}

// The states of a channel.
const (
	StateOK     = "ok"
	StateAbsent = "absent" // not asked for, or the host cannot have it
	StateFailed = "failed" // it was there and broke: its counts are not to be trusted
)

// ConsoleChannel is what the kernel said of its end in logs that outlived it: the serial log of a
// guest, or what was put beside run.json afterwards, such as a vmcore-dmesg.
type ConsoleChannel struct {
	State  string   `json:"state"`
	Why    string   `json:"why,omitempty"`
	Files  []string `json:"files,omitempty"`
	Deaths []Death  `json:"deaths,omitempty"`
}

// Channels are the witnesses of a run.
type Channels struct {
	Probes ProbesChannel `json:"probes"`
	Kmsg   KmsgChannel   `json:"kmsg"`
	Disk   DiskChannel   `json:"disk"`
	Clone  CloneChannel  `json:"clone"`
	Cache  CacheChannel  `json:"cache"`

	WarningCount WarningCountChannel `json:"warning_count"`
	Accounting   AccountingChannel   `json:"accounting"`
	Folios       FoliosChannel       `json:"folios"`
	Arrival      ArrivalChannel      `json:"arrival"`
	Console      ConsoleChannel      `json:"console"`
}

// ProbesChannel is what the eBPF probes counted for the file, in pages.
type ProbesChannel struct {
	State            string `json:"state"`
	Why              string `json:"why,omitempty"` // where the state is ok: what they do not see
	BufferlessPages  uint64 `json:"bufferless_pages"`
	UnannouncedPages uint64 `json:"unannounced_pages"`
	DirtiedPages     uint64 `json:"dirtied_pages"`
	DetachedPages    uint64 `json:"detached_pages"` // dirtied after they had been taken from their file
	// Folios of the pages above. A large folio is dirtied, and counted, as a whole: its pages may
	// be more than the region's.
	BufferlessFolios uint64 `json:"bufferless_folios"`
	DirtiedFolios    uint64 `json:"dirtied_folios"`
	// Stripped are pages whose buffers went while they were pinned, each time that they did, and
	// DroppedFolios those that writeback found dirty and without buffers, and threw away. nil:
	// not watched, as Why says, or evidence from before it was.
	StrippedPages  *uint64 `json:"stripped_pages,omitempty"`
	StrippedFolios *uint64 `json:"stripped_folios,omitempty"`
	DroppedFolios  *uint64 `json:"dropped_folios,omitempty"`

	Events     uint64 `json:"events"`
	LostEvents uint64 `json:"lost_events"`           // not streamed; the counts are whole all the same
	LostCounts uint64 `json:"lost_counts"`           // pages, or whole releases, that the counts miss
	LostStrips uint64 `json:"lost_strips,omitempty"` // calls that were missed, and might have been of pages stripped or dropped

	Acts []Act `json:"acts,omitempty"` // who dirtied, stripped and dropped how much, the most of each first

	// Stacks are the kernel stacks that pages were dirtied from, innermost
	// function first, by the stack_id of events.jsonl.
	Stacks map[int32][]string `json:"stacks,omitempty"`
}

// FoliosChannel tells of what sizes the folios are that hold the pinned pages of the file,
// and which of them lost their private data to the strip: their buffers, on ext4. It is
// read from /proc/kpageflags, so it asks neither the probes nor the file system.
type FoliosChannel struct {
	State  string      `json:"state"`
	Why    string      `json:"why,omitempty"`
	Pinned []FolioSize `json:"pinned,omitempty"` // smallest first

	StrippedPages  uint64 `json:"stripped_pages"` // of the region
	StrippedFolios uint64 `json:"stripped_folios"`
}

// FolioSize counts the folios of one size.
type FolioSize struct {
	Bytes  int    `json:"bytes"` // of a folio
	Folios uint64 `json:"folios"`
	Pages  uint64 `json:"pages"` // of the region that are in them
}

// LargePages are the pages of the region that are in folios of more than one page, and
// whether that is known.
func (c FoliosChannel) LargePages(pageSize int) (pages uint64, known bool) {
	for _, s := range c.Pinned {
		if s.Bytes > pageSize {
			pages += s.Pages
		}
	}
	return pages, c.State == StateOK
}

// KmsgChannel is what the kernel itself said during the run: its log, which is
// rate-limited.
type KmsgChannel struct {
	State           string `json:"state"`
	Why             string `json:"why,omitempty"`
	BufferlessPages uint64 `json:"bufferless_pages"` // messages that were printed, one a folio
	Suppressed      uint64 `json:"suppressed"`       // messages that the rate limit swallowed
	Warnings        uint64 `json:"warnings"`         // WARN()s, "WARNING: CPU: ..."
	LostRecords     uint64 `json:"lost_records"`     // overwritten before they were read
	// Oopses are deaths of a thread of the kernel (BUG, oops, general protection fault), and
	// OwnOopses those of them that befell a thread of this run. Oops is what the kernel said of
	// the first, and where it was.
	Oopses    uint64 `json:"oopses"`
	OwnOopses uint64 `json:"own_oopses"`
	Oops      string `json:"oops,omitempty"`
	// Deaths are the first of them, and what else the kernel said of its end.
	Deaths []Death `json:"deaths,omitempty"`
	// The same as in WarningCountChannel, where readers of earlier versions look for it.
	WarningsBefore *uint64 `json:"warning_count_before,omitempty"`
	WarningsAfter  *uint64 `json:"warning_count_after,omitempty"`
}

// WarningCountChannel is ext4's own count of its warnings (/sys/fs/ext4/DEV/warning_count,
// Linux 5.8), which no rate limit cuts and which anybody may read.
type WarningCountChannel struct {
	State  string  `json:"state"`
	Why    string  `json:"why,omitempty"`
	Before *uint64 `json:"before,omitempty"`
	After  *uint64 `json:"after,omitempty"`
}

// WarningRise is by how much ext4's warning_count rose, and whether the kernel told.
// Evidence from before it was a channel of its own has it with the kernel's log.
func (c Channels) WarningRise() (rise uint64, known bool) {
	before, after := c.WarningCount.Before, c.WarningCount.After
	if c.WarningCount.State == "" && c.Kmsg.State == StateOK {
		before, after = c.Kmsg.WarningsBefore, c.Kmsg.WarningsAfter
	}
	if before == nil || after == nil || *after < *before || c.WarningCount.State == StateFailed {
		return 0, false
	}
	return *after - *before, true
}

// ArrivalChannel compares the bytes that a write phase brought with those that were sent, in the memory
// where they arrived and before anything else happened to them: what differs was corrupted in flight. Other
// channels leave such pages out.
type ArrivalChannel struct {
	State        string `json:"state"`
	Why          string `json:"why,omitempty"`           // also of unseen pages
	Looks        uint64 `json:"looks,omitempty"`         // one for each pass
	CheckedPages uint64 `json:"checked_pages,omitempty"` // in all looks
	UnseenPages  uint64 `json:"unseen_pages,omitempty"`  // that could not be looked at without a change
	CorruptPages uint64 `json:"corrupt_pages,omitempty"` // once for each write phase
	CorruptBytes uint64 `json:"corrupt_bytes,omitempty"`
	FirstCorrupt *int64 `json:"first_corrupt_offset,omitempty"` // of the byte that was found first, in the region

	DisplacedPages uint64 `json:"displaced_pages,omitempty"` // corrupt pages that begin with bytes that belong further on in them, in all looks
}

// DiskChannel compares the bytes on disk with the bytes that the holder wrote.
type DiskChannel struct {
	State        string  `json:"state"`
	Why          string  `json:"why,omitempty"`
	Msync        string  `json:"msync"` // this and fsync: as in Settled, where readers of earlier versions look for it
	Fsync        string  `json:"fsync"`
	CheckedPages uint64  `json:"checked_pages"`
	StalePages   uint64  `json:"stale_pages"` // not what was written last
	OldPages     uint64  `json:"old_pages"`   // of these: exactly what was written first
	FirstStale   *uint64 `json:"first_stale_page,omitempty"`
	FromDisk

	// RefusedWrites are pages that the file system still refused to write after fsync
	// had returned (EUCLEAN).
	RefusedWrites uint64 `json:"refused_writes,omitempty"`
}

// CacheChannel compares the page cache with the bytes that the holder wrote: what
// is right there and stale on the disk can still be saved.
type CacheChannel struct {
	State        string `json:"state"`
	Why          string `json:"why,omitempty"`
	CheckedPages uint64 `json:"checked_pages"`
	StalePages   uint64 `json:"stale_pages"`
}

// AccountingChannel is nr_dirty of /proc/vmstat, in pages: a count of the whole
// machine, so it is exact only on one that does nothing else.
type AccountingChannel struct {
	State    string `json:"state"`
	Why      string `json:"why,omitempty"`
	Before   uint64 `json:"dirty_before"`   // nothing is pinned yet
	Released uint64 `json:"dirty_released"` // the holder has let go
	Settled  uint64 `json:"dirty_settled"`  // after fsync
}

// Leaked is how many pages more are dirty after fsync than were before the run.
func (a AccountingChannel) Leaked() uint64 {
	if a.State != StateOK || a.Settled < a.Before {
		return 0
	}
	return a.Settled - a.Before
}

// CloneChannel compares a reflink copy with what it held when it was taken.
type CloneChannel struct {
	State        string `json:"state"`
	Why          string `json:"why,omitempty"`
	CheckedPages uint64 `json:"checked_pages,omitempty"`
	ChangedPages uint64 `json:"changed_pages,omitempty"`
	FromDisk
}
