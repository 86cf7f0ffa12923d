package observe

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"umemstress/probes/event"
)

// A recording is a session's events and counts, played back.
type recording struct {
	events []event.Event
	counts []event.Count
	lost   event.Lost

	mu     sync.Mutex
	taken  bool
	forgot int
	owners []event.Event // whose files' owners were named
	breaks error
}

func (r *recording) Events(ctx context.Context, deliver func(event.Event)) error {
	for _, e := range r.events {
		deliver(e)
	}
	if r.breaks != nil {
		return r.breaks
	}
	<-ctx.Done()
	return nil
}

func (r *recording) Drain(context.Context) error { return nil }
func (r *recording) Symbolise(e *event.Event) error {
	e.Stack = []string{"ib_umem_release+0x1"}
	return nil
}
func (r *recording) ForgetStacks() error { r.forgot++; return nil }
func (r *recording) Owns(file event.Inode, holder string, owner event.Owner) error {
	r.owners = append(r.owners, event.Event{Inode: file, Holder: holder, Owner: owner})
	return nil
}
func (r *recording) Totals() (event.Totals, error) {
	t := event.Totals{Holders: map[string]event.Count{}, Pinned: 1, Released: 1}
	for _, c := range r.counts {
		sum := t.Holders[c.Holder]
		sum.Add(c)
		t.Holders[c.Holder] = sum
	}
	return t, nil
}
func (r *recording) TakeCounts() ([]event.Count, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.taken {
		return nil, nil
	}
	r.taken = true
	return r.counts, nil
}
func (r *recording) Lost() (event.Lost, error) { return r.lost, nil }

// observed runs an observation of a recording for three seconds of a bubble.
func observed(t *testing.T, c Config) (lines []Line, summary Summary, err error) {
	t.Helper()
	c.Cgroup = t.TempDir()
	if c.Proc == "" {
		c.Proc = procOf(t, nil, mounts)
	}
	write := c.Write
	c.Write = func(l Line) error {
		if write != nil {
			if err := write(l); err != nil {
				return err
			}
		}
		lines = append(lines, l)
		return nil
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		summary, err = Run(ctx, c)
	})
	return lines, summary, err
}

func eventsOf(lines []Line) (events []string) {
	for _, l := range lines {
		events = append(events, l.Event)
	}
	return events
}

// chain is what happens to a region of a file of large folios, and beside it to one of tmpfs.
func chain() *recording {
	pin := pinned(41, 0x7f0000001000, 12)
	pin.Owner.Comm, pin.Filesystem = "pinner", "ext4"
	of := func(kind event.Kind, index, pages uint64) event.Event {
		return event.Event{
			Kind: kind, Holder: event.HolderUmem, Owner: pin.Owner, Inode: pin.Inode, Filesystem: "ext4", Index: index,
			Pages: pages, Folios: 1, StackID: int32(index),
		}
	}
	dirtied := of(event.Dirtied, 0, 512)
	dirtied.Folios, dirtied.Bufferless, dirtied.Unannounced = 2, true, true
	memory := of(event.Dirtied, 0, 7)
	memory.Filesystem, memory.Inode = "tmpfs", event.Inode{Device: 9, Number: 12}
	released := of(event.Released, 0, 512)
	released.Region, released.End = pin.Region, &event.End{BufferlessPages: 512, UnannouncedPages: 512}
	return &recording{
		events: []event.Event{
			pin, of(event.Stripped, 0, 256), of(event.Stripped, 256, 256), dirtied, memory, released,
			of(event.Dropped, 0, 1), of(event.Dropped, 256, 1),
		},
		counts: []event.Count{
			{Inode: pin.Inode, Holder: event.HolderUmem, Filesystem: "ext4", DirtiedPages: 512, BufferlessPages: 512, UnannouncedPages: 512, StrippedPages: 512, DroppedFolios: 2},
			{Inode: event.Inode{Device: 9}, Holder: event.HolderUmem, Filesystem: "tmpfs", DirtiedPages: 7, UnannouncedPages: 7},
		},
	}
}

func TestRun(t *testing.T) {
	lines, summary, err := observed(t, Config{Source: chain(), Stacks: true, Hooks: []Hook{{Purpose: "p", Without: "w"}}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{Started, "pinned", "stripped", "dirtied", "released", "dropped", Ended}
	if got := eventsOf(lines); !reflect.DeepEqual(got, want) {
		t.Fatalf("told %q, want %q", got, want)
	}
	for _, l := range lines[1:6] {
		if l.Path != "/mnt/deep/f" || l.Owner == nil || l.Owner.Comm != "pinner" || l.Pages != 512 || len(l.Stack) != 1 || l.Schema != Schema {
			t.Errorf("%+v", l)
		}
		if l.Event != "dropped" && l.RDMADevice != "rxe0" { // by then the region is gone
			t.Errorf("%s by the device %q", l.Event, l.RDMADevice)
		}
	}
	if lines[5].Folios != 2 || !reflect.DeepEqual(lines[6].Summary, &summary) {
		t.Errorf("%+v\n%+v", lines[5], lines[6])
	}
	sum := Sum{Holder: "rdma", Filesystem: "ext4", Stripped: 512, Dirtied: 512, Bufferless: 512, Unannounced: 512, Dropped: 2}
	if !reflect.DeepEqual(summary.Sums, []Sum{sum}) || summary.Events != 5 || summary.Hit() != HitDropped || summary.Pinned != 1 {
		t.Errorf("%+v", summary)
	}
}

// A limit ends it, and is no error; nor is nothing to tell.
func TestRunEnds(t *testing.T) {
	lines, summary, err := observed(t, Config{Source: chain(), Limit: 2})
	if got := eventsOf(lines); err != nil || summary.Events != 2 || !reflect.DeepEqual(got, []string{Started, "pinned", "stripped", Ended}) {
		t.Errorf("told %q, %v", got, err)
	}
	lines, _, err = observed(t, Config{Source: &recording{}})
	if got := eventsOf(lines); err != nil || !reflect.DeepEqual(got, []string{Started, Ended}) {
		t.Errorf("told %q, %v", got, err)
	}
	lines, _, err = observed(t, Config{Source: chain(), Filter: Filter{Comm: "other"}})
	if got := eventsOf(lines); err != nil || !reflect.DeepEqual(got, []string{Started, Ended}) {
		t.Errorf("told %q of others, %v", got, err)
	}
}

// What was lost is told once, when it is known, and in the summary.
func TestRunTellsLosses(t *testing.T) {
	lines, summary, err := observed(t, Config{Source: &recording{lost: event.Lost{Pins: 4}}})
	if got := eventsOf(lines); err != nil || !reflect.DeepEqual(got, []string{Started, Lost, Ended}) || summary.Lost.Pins != 4 {
		t.Errorf("told %q, %v", got, err)
	}
}

// Who reads no more, and probes that break, end it with their error.
func TestRunFails(t *testing.T) {
	closed, broken := errors.New("nobody reads"), errors.New("the ring broke")
	_, summary, err := observed(t, Config{Source: chain(), Write: func(l Line) error {
		if l.Event == "dirtied" {
			return closed
		}
		return nil
	}})
	if !errors.Is(err, closed) || summary.Hit() != HitDropped {
		t.Errorf("%v, %+v", err, summary)
	}
	r := chain()
	r.breaks = broken
	if _, _, err := observed(t, Config{Source: r}); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

// The table of stacks in the kernel is emptied before it is full.
func TestStacksAreForgotten(t *testing.T) {
	r := &recording{}
	for i := range 3 * maxStacks {
		r.events = append(r.events, event.Event{
			Kind: event.Stripped, Inode: event.Inode{Device: 7 << 20, Number: 12}, Index: uint64(2 * i), Pages: 1, Folios: 1, StackID: int32(i),
		})
	}
	lines, _, err := observed(t, Config{Source: r, Stacks: true})
	if err != nil || r.forgot != 2 || len(lines) != 3*maxStacks+2 {
		t.Errorf("%d lines, forgot %d times, %v", len(lines), r.forgot, err)
	}
}
