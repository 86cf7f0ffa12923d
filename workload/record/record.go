// Package record says what a run amounts to: it holds what run.json does, and judges it.
//
// It is pure: [Judge] goes by the record alone, which has the facts of the scenario in it, so
// the same record gets the same verdict on any machine and from any later version.
package record

import (
	"time"

	"umemstress/workload/scenario"
)

// Schema names the format of run.json.
const Schema = "umemstress.run/v1"

// Record is everything that a run did and that its channels witnessed: the
// content of run.json. Judge reads nothing else.
type Record struct {
	Schema  string  `json:"schema"`
	Verdict Verdict `json:"verdict"`
	Reason  string  `json:"reason"`

	// Consequences are what it came to, beside the verdict, in words that can be searched for.
	Consequences []string `json:"consequences,omitempty"`
	// Disagreements are channels that count the same thing and differ.
	Disagreements []string `json:"disagreements,omitempty"`

	// CleanupError is what could not be given back after the verdict; the verdict stands.
	CleanupError string `json:"cleanup_error,omitempty"`

	Tool     string            `json:"tool"`
	Kernel   string            `json:"kernel"` // uname -r
	Host     Host              `json:"host"`
	Victim   *Victim           `json:"victim,omitempty"` // nil: the run was done where it was started
	Process  Process           `json:"process"`
	Started  time.Time         `json:"started"`
	Scenario scenario.Scenario `json:"scenario"`
	Choice   *Choice           `json:"choice,omitempty"` // how the scenario was chosen; nil: it was given
	Facts    *scenario.Facts   `json:"facts,omitempty"`  // of the scenario's parts, that Judge goes by; nil before they were recorded
	Device   Device            `json:"device"`
	File     File              `json:"file"`
	Regions  []Region          `json:"regions"`
	Phases   []Phase           `json:"phases"`
	Traffic  Traffic           `json:"traffic"`
	Settled  *Settled          `json:"settled,omitempty"`
	Channels Channels          `json:"channels"`
	Settings Settings          `json:"options"`
}

// Host is what a reader of a bug report needs to know of the machine.
type Host struct {
	Version     string `json:"version"` // uname -v
	Machine     string `json:"machine"` // uname -m
	CPUs        int    `json:"cpus"`
	MemoryBytes uint64 `json:"memory_bytes"`
	PageSize    int    `json:"page_size"`
}

// Victim is the host of a run that another one has started: the peer of that, which has the file.
type Victim struct {
	Host string `json:"host"`
	For  string `json:"for"` // the host that has started it
}

// Process is the run's own, as the kernel names it and its threads.
type Process struct {
	PID  int    `json:"pid"`
	Comm string `json:"comm"`
}

// process is the run's own; before it was recorded, its threads were called as the program.
func (r *Record) process() Process {
	if r.Process.Comm == "" {
		return Process{Comm: "umemstress"}
	}
	return r.Process
}

// Settings are the options that shape the traffic and the payload.
type Settings struct {
	MessageBytes  int    `json:"message_bytes"`
	Pieces        int    `json:"sge,omitempty"`        // pieces of local memory of a message; 0 of old: 1
	Inline        int    `json:"inline,omitempty"`     // bytes; messages that have no more carry them inline
	RateLimit     int64  `json:"rate_limit,omitempty"` // bytes a second that were sent at most; 0: as many as could be
	QueuePairs    int    `json:"queue_pairs"`
	SRQ           bool   `json:"srq,omitempty"`                // they had their receives in common
	Reads         int    `json:"outs,omitempty"`               // of a queue pair's messages, reads and atomic operations that are under way at most; 0: 16
	TxDepth       int    `json:"tx_depth,omitempty"`           // messages of a queue pair that are under way at most; 0 of old: 128
	Events        bool   `json:"events,omitempty"`             // completions were slept for
	Regions       int    `json:"memory_regions,omitempty"`     // that the file's region is registered as; 0 of old: 1
	HugePages     bool   `json:"hugepages,omitempty"`          // of the anonymous region
	HugePageBytes int64  `json:"hugepage_bytes,omitempty"`     // of each of these: 2 MiB or 1 GiB; a record without it is of 2 MiB
	Access        string `json:"access,omitempty"`             // what the device may do with them; empty of old: write
	OnDemand      bool   `json:"on_demand,omitempty"`          // they were not pinned
	Rereg         string `json:"rereg,omitempty"`              // how they were re-registered: "access", from reading alone before anything was written; "memory", after the first write
	Windows       bool   `json:"memory_windows,omitempty"`     // the other end reached them through a memory window each
	WindowType    int    `json:"memory_window_type,omitempty"` // 1 or 2, of these windows
	Release       string `json:"release,omitempty"`            // how they are released; empty of old: dereg
	MTU           int    `json:"mtu,omitempty"`                // bytes; 0: the port's
	ServiceLevel  int    `json:"service_level,omitempty"`
	TrafficClass  int    `json:"traffic_class,omitempty"`
	PKeyIndex     int    `json:"pkey_index,omitempty"`
	Timeout       int    `json:"qp_timeout,omitempty"` // 4.096 µs, shifted by so many bits, until a request without an answer is repeated; 0: 17
	Iterations    int    `json:"iterations,omitempty"` // messages a write phase; 0: one pass over the file region
	Seconds       int    `json:"duration_seconds,omitempty"`
	Bidirectional bool   `json:"bidirectional,omitempty"`
	Seed          uint64 `json:"seed"`
	Check         string `json:"check,omitempty"` // whether what arrived was compared with it; empty of old: it was not
	Connection    string `json:"connection"`
	Manager       bool   `json:"rdma_cm,omitempty"` // the connection manager connected the queue pairs
	Verb          string `json:"verb"`
	Mutator       string `json:"mutator,omitempty"` // who makes a mutation beside the region
}

// Settled is what msync and fsync answered after the release: "0", the error's name
// such as EIO, or NotAsked.
type Settled struct {
	Msync string `json:"msync"`
	Fsync string `json:"fsync"`
}

// NotAsked stands for the answer of a call that was not made.
const NotAsked = "none"

// Promised says whether the file system said that the bytes are safe.
func (s Settled) Promised() bool {
	return (s.Msync == "0" || s.Msync == NotAsked) && s.Fsync == "0"
}

// Device is what holds: an RDMA device, the block device that is read from, or the
// system call.
type Device struct {
	Name    string `json:"name"`
	Driver  string `json:"driver"`
	Backend string `json:"backend"`
	// BackendWhy is why an RDMA device was opened through this backend.
	BackendWhy string `json:"backend_why,omitempty"`
	Peer       *Peer  `json:"peer,omitempty"` // the other host of a run with --peer
	// ConnectedBy is what connected its queue pairs, and ConnectedAt the address of the connection manager's that listened.
	ConnectedBy string `json:"connected_by,omitempty"`
	ConnectedAt string `json:"connected_at,omitempty"`
}

// What connects queue pairs.
const (
	ConnectedByVerbs   = "verbs"   // the run itself, by the addresses of both
	ConnectedByManager = "rdma_cm" // rdma-core's connection manager
)

// Peer is the other host of a run, and its RDMA device.
type Peer struct {
	Host       string `json:"host"`
	Name       string `json:"name"`
	Driver     string `json:"driver"`
	Backend    string `json:"backend"`
	BackendWhy string `json:"backend_why,omitempty"`
}

// File is the file behind the file-backed region.
type File struct {
	Path    string `json:"path,omitempty"` // empty: on the run's own scratch file system
	Scratch bool   `json:"scratch"`
	Device  string `json:"device"` // the kernel's name of the block device, as in /sys/fs/ext4; empty without one
	Dev     uint32 `json:"dev"`    // as the probes see it: super_block.s_dev, or the block device itself; major<<20 | minor
	Inode   uint64 `json:"inode"`  // 0: the block device itself
	Bytes   int64  `json:"bytes"`  // its length; 0: evidence from when the file was the region

	Mkfs string `json:"mkfs,omitempty"` // the program that made the scratch, with its version; empty: none did, or it was not recorded
}

// The kinds of regions.
const (
	RegionFile      = "file"
	RegionAnonymous = "anonymous"
)

// Region is one pinned region.
type Region struct {
	Kind   string `json:"kind"` // RegionFile or RegionAnonymous
	Bytes  int    `json:"bytes"`
	Pages  int    `json:"pages"`
	Offset int64  `json:"offset"` // in its file, in bytes
}

// The outcomes of a phase. A phase that is still running in the evidence of a
// finished process is where the machine or the process died.
const (
	OutcomeRunning     = "running"
	OutcomeDone        = "done"
	OutcomeRefused     = "refused"     // the kernel refused the pin
	OutcomeWaits       = "waits"       // of mutate: it waits for the holder to let go, and the run goes on meanwhile
	OutcomeIneffective = "ineffective" // it ran and did not do what it is for
	OutcomeFailed      = "failed"
	OutcomeInterrupted = "interrupted"
	OutcomeCrashed     = "crashed" // a thread of the kernel died meanwhile
)

// Complete says whether the phase did what it is for, so that the run goes on.
func (p Phase) Complete() bool { return p.Outcome == OutcomeDone || p.Outcome == OutcomeWaits }

// Phase is one phase of a run.
type Phase struct {
	Name    string    `json:"name"`
	Started time.Time `json:"started"`
	Seconds float64   `json:"seconds"`
	Outcome string    `json:"outcome"`
	Detail  string    `json:"detail,omitempty"`
	// Gone is in what the kernel ended a thread of the run: msync, fsync, or another part of the phase.
	// It was seen by that thread being gone, and not in the kernel's log.
	Gone string `json:"gone,omitempty"`

	// WaitedSeconds is how long a mutation took that waited for the holder, until it was done after the
	// release; 0: it did not wait, or never ended.
	WaitedSeconds float64 `json:"waited_seconds,omitempty"`

	// Unwoken: nobody woke it when the holder had let go, so that it went on waiting until a signal of the
	// run had it look again.
	Unwoken bool `json:"unwoken,omitempty"`

	// UnwokenStack is where in the kernel it waited then, innermost function first, as far as that is told.
	UnwokenStack []string `json:"unwoken_stack,omitempty"`

	// HostLacks: it failed because the host lacks something, so that the run had no verdict and
	// ended with that exit code.
	HostLacks bool `json:"host_lacks,omitempty"`
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
	Held     int `json:"hits,omitempty"`

	// Of both write phases, and of the fastest tenth of a second, of a holder that can repeat its traffic.
	BytesPerSecond      float64  `json:"bytes_per_second,omitempty"`
	PeakBytesPerSecond  float64  `json:"peak_bytes_per_second,omitempty"`
	OperationsPerSecond float64  `json:"operations_per_second,omitempty"`
	Latency             *Latency `json:"latency_us,omitempty"` // nil: not measured
}

// Latency is how long it took from when operations were posted until their completion was seen, in
// microseconds. A completion answers for all operations that were posted with it, and what was
// posted before is done first: but for operations one by one, that is the time in the queue, too.
type Latency struct {
	Completions  uint64  `json:"completions"`   // that were counted
	ErrorPercent float64 `json:"error_percent"` // that a value is off at most
	Min          float64 `json:"min"`
	P50          float64 `json:"p50"`
	P90          float64 `json:"p90"`
	P99          float64 `json:"p99"`
	P999         float64 `json:"p99_9"`
	Max          float64 `json:"max"`
	Mean         float64 `json:"mean"`
	Deviation    float64 `json:"deviation"` // standard deviation
}

// Add adds what another write phase sent.
func (t *Traffic) Add(more Traffic) {
	t.Operations += more.Operations
	t.Bytes += more.Bytes
	t.Seconds += more.Seconds
	t.PeakBytesPerSecond = max(t.PeakBytesPerSecond, more.PeakBytesPerSecond)
	if t.Seconds > 0 {
		t.BytesPerSecond, t.OperationsPerSecond = float64(t.Bytes)/t.Seconds, float64(t.Operations)/t.Seconds
	}
}

// Answers are what msync and fsync answered. Evidence from before it had a place of its
// own has it with the disk.
func (r *Record) Answers() Settled {
	if r.Settled != nil {
		return *r.Settled
	}
	return Settled{Msync: r.Channels.Disk.Msync, Fsync: r.Channels.Disk.Fsync}
}

// HostLacked says whether there is no verdict because the host lacked something.
func (r *Record) HostLacked() bool {
	if r.Verdict != Inconclusive || len(r.Phases) == 0 {
		return false
	}
	last := r.Phases[len(r.Phases)-1]
	return last.Outcome == OutcomeFailed && last.HostLacks
}

// Done says whether the named phase did its work.
func (r *Record) Done(name string) bool {
	p, ok := r.phase(name)
	return ok && p.Complete()
}

// waited is the mutation that waited for the holder to let go, if it did.
func (r *Record) waited() (Phase, bool) {
	p, _ := r.phase(scenario.PhaseMutate)
	if p.Outcome != OutcomeWaits {
		return Phase{}, false
	}
	return p, true
}

// gone is in what the kernel ended a thread of the run.
func (r *Record) gone() string {
	for _, p := range r.Phases {
		if p.Outcome == OutcomeCrashed && p.Gone != "" {
			return p.Gone
		}
	}
	return ""
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
