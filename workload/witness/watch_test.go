package witness

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"

	"umemstress/probes/event"
	"umemstress/probes/kmsg"
	"umemstress/probes/kmsg/devkmsg"
	"umemstress/workload/record"
)

// notes is evidence in memory, and what of it is on disk.
type notes struct {
	mu     sync.Mutex
	lines  []string
	synced int // lines
	syncs  int
	slow   time.Duration // a sync
	fails  error
}

func (n *notes) add(line string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, line)
	return n.fails
}

func (n *notes) AddEvent(event.Event) error { return n.add("event") }
func (n *notes) AddKmsg(string) error       { return n.add("kmsg") }
func (n *notes) AddStack(_ int32, frames []string) error {
	return n.add("stack " + strings.Join(frames, " "))
}

func (n *notes) Sync() error {
	n.mu.Lock()
	lines := len(n.lines)
	n.mu.Unlock()
	time.Sleep(n.slow)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.syncs++
	n.synced = lines
	return n.fails
}

// onDisk are the lines that a machine that dies now leaves.
func (n *notes) onDisk() (lines []string, syncs int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.lines[:n.synced]), n.syncs
}

// puppet is an observer that says what a test has it say.
type puppet struct {
	deliver func(event.Event)
	ready   chan struct{}
	naming  chan struct{} // closed when stacks may be named
	err     error
	filter  event.Filter
	counts  []event.Count
	acts    []event.Act
	lost    event.Lost
	unseen  map[event.Kind]string
}

func (p *puppet) SetFilter(f event.Filter) error { p.filter = f; return nil }
func (p *puppet) Events(ctx context.Context, deliver func(event.Event)) error {
	p.deliver = deliver
	close(p.ready)
	<-ctx.Done()
	return nil
}
func (p *puppet) Drain(context.Context) error { return nil }
func (p *puppet) Symbolise(ev *event.Event) error {
	<-p.naming
	ev.Stack = []string{"a+0x1", "b+0x2"}
	return p.err
}
func (p *puppet) Counts() ([]event.Count, error) { return p.counts, nil }
func (p *puppet) Acts() ([]event.Act, error)     { return p.acts, nil }
func (p *puppet) Unseen() map[event.Kind]string  { return p.unseen }
func (p *puppet) Lost() (event.Lost, error)      { return p.lost, nil }
func (p *puppet) Close() error                   { return nil }

func quiet() logrus.FieldLogger {
	log := logrus.New()
	log.SetOutput(io.Discard)
	return log
}

// watching begins to watch a puppet alone; it runs in a bubble, where nothing waits for the
// kernel's log.
func watching(t *testing.T, n *notes) (*Watch, *puppet) {
	t.Helper()
	p := &puppet{ready: make(chan struct{}), naming: make(chan struct{})}
	w := &Watch{evidence: n, observer: p, log: quiet(), unsynced: make(chan struct{}, 1), stacks: map[int32][]string{}}
	w.channels.Probes.State, w.channels.Kmsg.State = record.StateOK, record.StateAbsent
	ctx, stop := context.WithCancel(t.Context())
	w.stop = stop
	w.follow(ctx)
	<-p.ready
	return w, p
}

// What is witnessed is on disk at once, not at the end of the phase: the machine may die in it.
func TestEventIsOnDiskAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &notes{}
		w, p := watching(t, n)
		defer w.Close()
		p.deliver(event.Event{StackID: -1})
		synctest.Wait()
		if lines, _ := n.onDisk(); len(lines) != 1 {
			t.Errorf("%q on disk", lines)
		}
		time.Sleep(time.Minute)
		if _, syncs := n.onDisk(); syncs != 1 {
			t.Errorf("%d syncs of one event", syncs)
		}
	})
}

// Events by thousands share a sync, and none waits for a disk that is slow.
func TestEventsShareSyncs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &notes{slow: 3 * time.Second}
		w, p := watching(t, n)
		defer w.Close()
		began := time.Now()
		const events = 10000
		for range events {
			p.deliver(event.Event{StackID: -1})
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("events waited %s for the disk", took)
		}
		time.Sleep(10 * time.Second)
		lines, syncs := n.onDisk()
		if len(lines) != events || syncs > 2 {
			t.Errorf("%d lines on disk after %d syncs", len(lines), syncs)
		}
		n.slow = 0
		for range events {
			p.deliver(event.Event{StackID: -1})
			time.Sleep(100 * time.Microsecond)
		}
		synctest.Wait()
		if _, all := n.onDisk(); all-syncs > int(time.Second/syncSpacing)+1 {
			t.Errorf("%d syncs within a second", all-syncs)
		}
	})
}

// A stack has its names in the evidence when the phase ends, unless they take for ever; then
// they follow.
func TestStacksAreNamedInTheEvidence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &notes{}
		w, p := watching(t, n)
		defer w.Close()
		p.deliver(event.Event{StackID: 7})
		p.deliver(event.Event{StackID: 7})
		began := time.Now()
		w.Pump(t.Context())
		if took := time.Since(began); took != nameBound {
			t.Errorf("the phase waited %s for names that do not come", took)
		}
		close(p.naming)
		synctest.Wait()
		time.Sleep(syncSpacing)
		synctest.Wait()
		want := []string{"event", "event", "stack a+0x1 b+0x2"}
		if lines, _ := n.onDisk(); !slices.Equal(lines, want) {
			t.Errorf("%q on disk", lines)
		}
		p.deliver(event.Event{StackID: 8})
		w.Pump(t.Context())
		var c record.Channels
		w.Tally(&c)
		if len(c.Probes.Stacks) != 2 || len(c.Probes.Stacks[8]) != 2 {
			t.Errorf("%q in the record", c.Probes.Stacks)
		}
		if lines := n.lines; lines[len(lines)-1] != "stack a+0x1 b+0x2" {
			t.Errorf("%q", lines)
		}
	})
}

// Whatever is counted in the record was written before, so that a sync after it covers it.
func TestTallyCountsWhatIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &notes{}
		w, p := watching(t, n)
		defer w.Close()
		var c record.Channels
		for range 100 {
			p.deliver(event.Event{StackID: -1})
			w.Tally(&c)
			if err := w.Sync(); err != nil {
				t.Fatal(err)
			}
			if lines, _ := n.onDisk(); uint64(len(lines)) < c.Probes.Events {
				t.Fatalf("%d lines on disk, %d events counted", len(lines), c.Probes.Events)
			}
		}
	})
}

// Of evidence that cannot be written the first error is told, once.
func TestFirstErrorStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &notes{fails: errors.New("no space left on device")}
		w, p := watching(t, n)
		defer w.Close()
		for range 1000 {
			p.deliver(event.Event{StackID: -1})
		}
		if err := w.Sync(); err == nil || err.Error() != n.fails.Error() {
			t.Errorf("%v", err)
		}
	})
}

// What kind of error it is that the probes are not there says the error itself.
func TestRequiredProbes(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{errors.New("the verifier says no"), ""}, {lacking{errors.New("no BTF")}, "lacks"},
	} {
		p := AttachSoon(func() (Observer, error) { return nil, c.err })
		_, err := Start(Config{Probes: p, Required: true, Evidence: &notes{}, Log: quiet()})
		var lacks interface{ HostLacks() bool }
		if got := errors.As(err, &lacks); !errors.Is(err, c.err) || got != (c.want == "lacks") {
			t.Errorf("%v: %v", c.err, err)
		}
	}
	var usage interface{ Usage() bool }
	if _, err := Start(Config{Probes: AttachSoon(nil), Required: true, Evidence: &notes{}, Log: quiet()}); !errors.As(err, &usage) {
		t.Errorf("%v", err)
	}
}

type lacking struct{ error }

func (lacking) HostLacks() bool { return true }

// hung is what the kernel says of a task that waits for too long, in writeback.
const hung = `[  242.661348] INFO: task sync:107 blocked for more than 120 seconds.
[  242.661726] task:sync            state:D stack:    0 pid:  107 ppid:     1 flags:0x00004000
[  242.661884] Call Trace:
[  242.662173]  __lock_page+0x111/0x240
[  242.662173]  mpage_prepare_extent_to_map+0x25d/0x290 [ext4]
`

// A task hangs on account of the run where the run says so, which gets the kernel's words and what the
// probes saw by then; it is not asked before anything hangs.
func TestHangs(t *testing.T) {
	asked, ours := 0, false
	var got record.Channels
	w := &Watch{kmsg: &devkmsg.Reader{}, observer: &puppet{}}
	w.blames = func(c record.Channels) bool { asked++; got = c; return ours }
	w.channels = record.NoChannels()
	w.channels.Probes.State, w.channels.Kmsg.State = record.StateOK, record.StateOK
	if w.hangs() || asked > 0 {
		t.Errorf("asked %d times before anything hangs", asked)
	}
	for line := range strings.Lines(hung) {
		w.deaths.Add(kmsg.Classify(line))
	}
	if w.hangs() {
		t.Error("what is not the run's hangs on its account")
	}
	if d := got.Kmsg.Deaths; got.Probes.State != record.StateOK || len(d) != 1 || d[0].Kind != record.DiedHung || !slices.Contains(d[0].Calls, "mpage_prepare_extent_to_map") {
		t.Errorf("asked by %+v", got)
	}
	if ours = true; !w.hangs() {
		t.Error("what is the run's does not hang on its account")
	}
}
