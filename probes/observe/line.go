package observe

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/probes/event"
)

// Schema names the form of a Line in JSON. More fields may be added to it.
const Schema = "umemstress.event/v1"

// The events of Line, beside the kinds of package event.
const (
	Started  = "started" // the first line
	Rehooked = "hooks"   // modules came or went, and hooks with them
	Lost     = "lost"    // something could not be delivered or counted
	Ended    = "summary" // the last line, and every second in the journal
)

// A Line is what is told of one event: whose pages, of which file, what happened to them, and
// by whom. Fields that do not apply, or are not known, are left out of its JSON.
type Line struct {
	Schema string    `json:"schema"`
	Time   time.Time `json:"time"`
	Event  string    `json:"event"`
	Holder string    `json:"holder,omitempty"` // rdma, dio, vmwritev, vmci, nfs, fuse, v4l2, xdp or 9p

	Owner *Process `json:"owner,omitempty"` // who pinned
	Actor *Process `json:"actor,omitempty"` // who released, reclaimed or wrote back; often a thread of the kernel

	Device     string `json:"device,omitempty"` // of the file: MAJOR:MINOR
	Inode      uint64 `json:"inode,omitempty"`
	Filesystem string `json:"filesystem,omitempty"`
	Path       string `json:"path,omitempty"`
	// FirstPage is its index in the file.
	FirstPage *uint64 `json:"first_page,omitempty"`
	Pages     uint64  `json:"pages,omitempty"`
	Folios    uint64  `json:"folios,omitempty"`

	// Of dirtied; of released, of how many pages each is true is below.
	Bufferless  bool `json:"bufferless,omitempty"`
	Unannounced bool `json:"unannounced,omitempty"`
	Detached    bool `json:"detached,omitempty"`

	RDMADevice  string  `json:"rdma_device,omitempty"`
	MRN         *uint32 `json:"mrn,omitempty"`     // of pinned and released: the kernel's number of the RDMA region
	Address     string  `json:"address,omitempty"` // of the region, in its owner's memory
	Bytes       uint64  `json:"bytes,omitempty"`   // of the region
	Error       string  `json:"error,omitempty"`   // of refused: the kernel's answer
	Why         string  `json:"why,omitempty"`     // of released: dereg, exit or signal
	Signal      string  `json:"signal,omitempty"`
	SinceBefore bool    `json:"since_before,omitempty"` // of pinned and released: it was pinned before observe began

	BufferlessPages  uint64 `json:"bufferless_pages,omitempty"`
	UnannouncedPages uint64 `json:"unannounced_pages,omitempty"`
	DetachedPages    uint64 `json:"detached_pages,omitempty"`

	Stack []string `json:"stack,omitempty"` // innermost first

	Host *Host `json:"host,omitempty"` // of started
	// PinnedBefore are, of started, processes that had memory pinned by then, the most first.
	PinnedBefore []Pinner `json:"pinned_before,omitempty"`

	Hooks   []Hook   `json:"hooks,omitempty"`   // of started and hooks
	Summary *Summary `json:"summary,omitempty"` // of summary and lost
}

// IsEvent says whether the line is one of an event, and not about the observation.
func (l Line) IsEvent() bool {
	return l.Event != Started && l.Event != Rehooked && l.Event != Lost && l.Event != Ended
}

// A Process is one by its thread group. What it is called, it may have chosen itself.
type Process struct {
	PID    uint32 `json:"pid"`
	TID    uint32 `json:"tid,omitempty"` // of the actor
	Comm   string `json:"comm"`
	Cgroup string `json:"cgroup,omitempty"` // its path in the unified hierarchy
}

// A Hook is one of the places in the kernel that are watched.
type Hook struct {
	Purpose string `json:"purpose"`
	Symbol  string `json:"symbol,omitempty"` // "": not attached
	Method  string `json:"method,omitempty"`
	Without string `json:"without,omitempty"` // what is not seen
	Awaits  string `json:"awaits,omitempty"`  // a module that is not loaded: the kernel attaches the hook when it loads it
}

// holderWords are the words for holders: those of the scenarios of a run.
var holderWords = map[string]string{
	event.HolderUmem: "rdma", event.HolderDIO: "dio", event.HolderVMWritev: "vmwritev", event.HolderVMCI: "vmci", event.HolderNFS: "nfs", event.HolderFUSE: "fuse",
	event.HolderV4L2: "v4l2", event.HolderXDP: "xdp", event.Holder9P: "9p",
}

// line tells an event in words, without what has to be asked for.
func line(e event.Event, at time.Time) Line {
	l := Line{
		Schema: Schema, Time: at, Event: string(e.Kind), Holder: holderWords[e.Holder],
		Actor: &Process{PID: e.PID, TID: e.TID, Comm: e.Comm},
		Inode: e.Inode.Number, Filesystem: e.Filesystem, Pages: e.Pages, Folios: e.Folios,
		Bufferless: e.Bufferless, Unannounced: e.Unannounced, Detached: e.Detached, Stack: e.Stack,
	}
	if e.Inode != (event.Inode{}) {
		l.Device = fmt.Sprintf("%d:%d", e.Inode.Device>>20, e.Inode.Device&(1<<20-1))
	}
	if e.Owner.PID != 0 {
		l.Owner = &Process{PID: e.Owner.PID, Comm: e.Owner.Comm}
	}
	if e.Kind != event.Refused && e.Kind != event.Released {
		l.FirstPage = &e.Index
	}
	if r := e.Region; r != nil {
		l.RDMADevice, l.MRN, l.Address, l.Bytes = r.Device, r.MRN, fmt.Sprintf("%#x", r.Address), r.Length
		l.SinceBefore = r.PinnedNS == 0 && e.Kind == event.Pinned
	}
	if e.Errno != 0 {
		l.Error = unix.ErrnoName(unix.Errno(e.Errno))
	}
	if end := e.End; end != nil {
		l.tellEnd(end)
	}
	return l
}

func (l *Line) tellEnd(end *event.End) {
	l.Why = "dereg"
	switch {
	case end.Signal != 0:
		l.Why, l.Signal = "signal", unix.SignalName(unix.Signal(end.Signal))
	case end.Exiting:
		l.Why = "exit"
	}
	l.SinceBefore = end.Unseen
	l.BufferlessPages, l.UnannouncedPages, l.DetachedPages = end.BufferlessPages, end.UnannouncedPages, end.DetachedPages
}
