package workload

import "time"

// Schema names the format of run.json.
const Schema = "umemstress.run/v1"

// Record is everything that a run did and that its channels witnessed: the
// content of run.json. Judge reads nothing else.
type Record struct {
	Schema  string  `json:"schema"`
	Verdict Verdict `json:"verdict"`
	Reason  string  `json:"reason"`

	// Consequences are what it came to, beside the verdict: see Consequences.
	Consequences []string `json:"consequences,omitempty"`
	// Disagreements are channels that count the same thing and differ.
	Disagreements []string `json:"disagreements,omitempty"`

	Tool     string         `json:"tool"`
	Kernel   string         `json:"kernel"` // uname -r
	Host     Host           `json:"host"`
	Started  time.Time      `json:"started"`
	Scenario Scenario       `json:"scenario"`
	Device   Device         `json:"device"`
	File     File           `json:"file"`
	Regions  []RegionRecord `json:"regions"`
	Phases   []Phase        `json:"phases"`
	Traffic  Traffic        `json:"traffic"`
	Channels Channels       `json:"channels"`
	Settings Settings       `json:"options"`
}

// Host is what a reader of a bug report needs to know of the machine.
type Host struct {
	Version     string `json:"version"` // uname -v
	Machine     string `json:"machine"` // uname -m
	CPUs        int    `json:"cpus"`
	MemoryBytes uint64 `json:"memory_bytes"`
	PageSize    int    `json:"page_size"`
}

// Settings are the options that shape the traffic and the payload.
type Settings struct {
	MessageBytes  int    `json:"message_bytes"`
	QueuePairs    int    `json:"queue_pairs"`
	Iterations    int    `json:"iterations,omitempty"` // messages a write phase; 0: one pass over the file region
	Seconds       int    `json:"duration_seconds,omitempty"`
	Bidirectional bool   `json:"bidirectional,omitempty"`
	Seed          uint64 `json:"seed"`
	Connection    string `json:"connection"`
	Verb          string `json:"verb"`
}

// Device is the RDMA device of the run.
type Device struct {
	Name    string `json:"name"`
	Driver  string `json:"driver"`
	Backend string `json:"backend"`
}

// File is the file behind the file-backed region.
type File struct {
	Path    string `json:"path,omitempty"` // empty: on the run's own scratch file system
	Scratch bool   `json:"scratch"`
	Device  string `json:"device"` // the kernel's name of the block device, as in /sys/fs/ext4; empty without one
	Dev     uint32 `json:"dev"`    // as the probes see it: super_block.s_dev, or the block device itself; major<<20 | minor
	Inode   uint64 `json:"inode"`  // 0: the block device itself
}

// RegionRecord is one pinned region.
type RegionRecord struct {
	Kind  string `json:"kind"` // "file" or "anonymous"
	Bytes int    `json:"bytes"`
	Pages int    `json:"pages"`
}

// The outcomes of a phase. A phase that is still running in the evidence of a
// finished process is where the machine or the process died.
const (
	OutcomeRunning     = "running"
	OutcomeDone        = "done"
	OutcomeRefused     = "refused"     // the kernel refused the pin
	OutcomeIneffective = "ineffective" // it ran and did not do what it is for
	OutcomeFailed      = "failed"
	OutcomeInterrupted = "interrupted"
)

// Phase is one phase of a run.
type Phase struct {
	Name    string    `json:"name"`
	Started time.Time `json:"started"`
	Seconds float64   `json:"seconds"`
	Outcome string    `json:"outcome"`
	Detail  string    `json:"detail,omitempty"`
}

// Traffic is what both write phases sent.
type Traffic struct {
	Operations uint64  `json:"operations"`
	Bytes      uint64  `json:"bytes"`
	Seconds    float64 `json:"seconds"`
	// Of a holder that pins for the time of a call: how many calls were made, and how
	// many of them were seen to keep their pages until the second write, or until the
	// run gave up.
	Attempts int `json:"attempts,omitempty"`
	Hits     int `json:"hits,omitempty"`
}

func (t *Traffic) add(more Traffic) {
	t.Operations += more.Operations
	t.Bytes += more.Bytes
	t.Seconds += more.Seconds
}

// The states of a channel.
const (
	StateOK     = "ok"
	StateAbsent = "absent" // not asked for, or the host cannot have it
	StateFailed = "failed" // it was there and broke: its counts are not to be trusted
)

// Channels are the witnesses of a run.
type Channels struct {
	Probes ProbesChannel `json:"probes"`
	Kmsg   KmsgChannel   `json:"kmsg"`
	Disk   DiskChannel   `json:"disk"`
	Clone  CloneChannel  `json:"clone"`
	Cache  CacheChannel  `json:"cache"`

	Accounting AccountingChannel `json:"accounting"`
}

// ProbesChannel is what the eBPF probes counted for the file, in pages.
type ProbesChannel struct {
	State            string `json:"state"`
	Why              string `json:"why,omitempty"`
	BufferlessPages  uint64 `json:"bufferless_pages"`
	UnannouncedPages uint64 `json:"unannounced_pages"`
	DirtiedPages     uint64 `json:"dirtied_pages"`
	DetachedPages    uint64 `json:"detached_pages"` // dirtied after they had been taken from their file
	Events           uint64 `json:"events"`
	LostEvents       uint64 `json:"lost_events"` // not streamed; the counts are whole all the same
	LostCounts       uint64 `json:"lost_counts"` // pages, or whole releases, that the counts miss

	// Stacks are the kernel stacks that pages were dirtied from, innermost
	// function first, by the stack_id of events.jsonl.
	Stacks map[int32][]string `json:"stacks,omitempty"`
}

// KmsgChannel is what the kernel itself said during the run: its log, which is
// rate-limited, and ext4's warning counter, which is not.
type KmsgChannel struct {
	State           string  `json:"state"`
	Why             string  `json:"why,omitempty"`
	BufferlessPages uint64  `json:"bufferless_pages"` // messages that were printed, one a page
	Suppressed      uint64  `json:"suppressed"`       // messages that the rate limit swallowed
	Warnings        uint64  `json:"warnings"`         // WARN()s, "WARNING: CPU: ..."
	LostRecords     uint64  `json:"lost_records"`     // overwritten before they were read
	WarningsBefore  *uint64 `json:"warning_count_before,omitempty"`
	WarningsAfter   *uint64 `json:"warning_count_after,omitempty"`
}

// WarningRise is by how much /sys/fs/ext4/DEV/warning_count rose, and whether
// the kernel has that file.
func (k KmsgChannel) WarningRise() (rise uint64, known bool) {
	if k.WarningsBefore == nil || k.WarningsAfter == nil || *k.WarningsAfter < *k.WarningsBefore {
		return 0, false
	}
	return *k.WarningsAfter - *k.WarningsBefore, true
}

// DiskChannel compares the bytes on disk with the bytes that the holder wrote.
type DiskChannel struct {
	State        string  `json:"state"`
	Why          string  `json:"why,omitempty"`
	Msync        string  `json:"msync"` // "0" or the error's name, such as EIO; after the release; "none" without a mapping
	Fsync        string  `json:"fsync"`
	CheckedPages uint64  `json:"checked_pages"`
	StalePages   uint64  `json:"stale_pages"` // not what was written last
	OldPages     uint64  `json:"old_pages"`   // of these: exactly what was written first
	FirstStale   *uint64 `json:"first_stale_page,omitempty"`

	// RefusedWrites are pages that the file system still refused to write after fsync
	// had returned (EUCLEAN).
	RefusedWrites uint64 `json:"refused_writes,omitempty"`
}

// notAsked stands for the result of a call that was not made.
const notAsked = "none"

// promised says whether the file system said that the bytes are safe.
func (d DiskChannel) promised() bool {
	return (d.Msync == "0" || d.Msync == notAsked) && d.Fsync == "0"
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
}

// phase returns the record of the named phase.
func (r *Record) phase(name string) (Phase, bool) {
	for _, p := range r.Phases {
		if p.Name == name {
			return p, true
		}
	}
	return Phase{}, false
}
