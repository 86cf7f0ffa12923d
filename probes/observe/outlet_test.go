package observe

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/probes/event"
)

// A burst is a source of events by thousands, in two waves.
type burst struct {
	recording
	waves [2]int
	apart time.Duration
}

func (b *burst) Events(ctx context.Context, deliver func(event.Event)) error {
	n := 0
	for i, size := range b.waves {
		for range size {
			deliver(event.Event{
				Kind: event.Dirtied, Holder: event.HolderUmem, Inode: event.Inode{Device: 8, Number: 1},
				Index: uint64(n), Pages: 1, Folios: 1, Unannounced: true, StackID: -1,
			})
			n++
		}
		if i == 0 {
			time.Sleep(b.apart)
		}
	}
	<-ctx.Done()
	return nil
}

// told are the pages of the lines of events, in order.
func told(lines []Line) (pages []uint64) {
	for _, l := range lines {
		if l.IsEvent() {
			pages = append(pages, *l.FirstPage)
		}
	}
	return pages
}

// A consumer that stops reading keeps nobody else from going on; what it missed is in one place,
// and told when it reads again.
func TestConsumerStops(t *testing.T) {
	const first, second, stopsAt = 3 * maxUnwritten, 100, 50
	source := &burst{waves: [2]int{first, second}, apart: 5 * time.Second}
	var lines, journal []Line
	var sums []Summary
	var summary Summary
	var err error
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
		defer cancel()
		summary, err = Run(ctx, Config{
			Source: source, Proc: t.TempDir(), Cgroup: t.TempDir(),
			Write: func(l Line) error {
				if len(lines) == stopsAt {
					time.Sleep(3*time.Second + 500*time.Millisecond) // and reads again
				}
				lines = append(lines, l)
				return nil
			},
			Tell:  func(l Line) error { journal = append(journal, l); return nil },
			Count: func(s Summary) error { sums = append(sums, s); return nil },
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(told(journal)); n != first+second {
		t.Errorf("the journal was told %d events", n)
	}
	if slices.ContainsFunc(journal, func(l Line) bool { return l.Event == Lost }) {
		t.Error("the journal was told of lines that others did not read")
	}
	if len(sums) < 8 || sums[1].Lost.Output == 0 {
		t.Errorf("the sums while nobody read: %+v", sums)
	}
	pages := told(lines)
	lost := uint64(first + second - len(pages))
	if lost == 0 || summary.Lost.Output != lost || summary.Events != uint64(len(pages)) {
		t.Errorf("%d of %d events were told; %+v", len(pages), first+second, summary)
	}
	gap := slices.IndexFunc(lines, func(l Line) bool { return l.Event == Lost })
	if gap < 0 || lines[gap].Summary.Lost.Output != lost || *lines[gap-1].FirstPage+lost+1 != first || *lines[gap+1].FirstPage != first {
		t.Fatalf("lost %d, told at %d of %d", lost, gap, len(lines))
	}
	if last := lines[len(lines)-1]; last.Event != Ended || !reflect.DeepEqual(*last.Summary, summary) {
		t.Errorf("%+v, %+v", last, summary)
	}
	if n := len(slices.DeleteFunc(lines, func(l Line) bool { return l.Event != Lost })); n != 1 {
		t.Errorf("the loss was told %d times", n)
	}
}

// Who never reads again is not waited for, and the sums are known all the same.
func TestConsumerIsGone(t *testing.T) {
	const events, readsUntil = 2 * maxUnwritten, 7
	var last Line
	lines := 0
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		begun, gate := time.Now(), make(chan struct{})
		summary, err := Run(ctx, Config{
			Source: &burst{waves: [2]int{events, 0}}, Proc: t.TempDir(), Cgroup: t.TempDir(),
			Write: func(l Line) error {
				if lines == readsUntil {
					<-gate
				}
				lines++
				return nil
			},
			Tell: func(l Line) error { last = l; return nil },
		})
		if took := time.Since(begun); took > 4*time.Second {
			t.Errorf("it ended after %v", took)
		}
		const read = readsUntil - 1 // and the first line
		if !errors.Is(err, ErrUnread) || summary.Lost.Output != events-read || summary.Events != read {
			t.Errorf("%v, %+v", err, summary)
		}
		if last.Event != Ended || !reflect.DeepEqual(*last.Summary, summary) {
			t.Errorf("the journal's last line is %+v", last)
		}
		close(gate) // late: nothing more is written
	})
	if lines != readsUntil+1 {
		t.Errorf("%d lines, want %d", lines, readsUntil+1)
	}
}

// Where nobody reads, and the journal's disk is slow, it does not work off first what has come
// until then.
func TestEndsSoon(t *testing.T) {
	const events = 3 * maxUnwritten
	kept := 0
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second)
		defer cancel()
		begun, gate := time.Now(), make(chan struct{})
		summary, err := Run(ctx, Config{
			Source: &burst{waves: [2]int{events, 0}}, Proc: t.TempDir(), Cgroup: t.TempDir(),
			Write: func(Line) error { <-gate; return nil },
			Tell: func(l Line) error {
				time.Sleep(time.Millisecond)
				if l.IsEvent() {
					kept++
				}
				return nil
			},
		})
		if took := time.Since(begun); took > 8*time.Second {
			t.Errorf("it ended after %v", took)
		}
		if !errors.Is(err, ErrUnread) || summary.Lost.Output != events || summary.Events != 0 {
			t.Errorf("%v, %+v", err, summary)
		}
		close(gate)
	})
	if kept < 5000 || kept > 8000 {
		t.Errorf("the journal was told %d events", kept)
	}
}

// Lines that cannot be written are lost alone, and what was lost is told when lines can be.
func TestNotWritten(t *testing.T) {
	var emptied atomic.Bool
	var lines []Line
	var summary Summary
	var err error
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
		defer cancel()
		time.AfterFunc(4500*time.Millisecond, func() { emptied.Store(true) })
		summary, err = Run(ctx, Config{
			Source: &burst{waves: [2]int{20, 5}, apart: 6 * time.Second}, Proc: t.TempDir(), Cgroup: t.TempDir(),
			Write: func(l Line) error {
				if l.Event != Started && !emptied.Load() {
					return errors.Join(ErrNotWritten, errors.New("no space"))
				}
				lines = append(lines, l)
				return nil
			},
		})
	})
	if err != nil || summary.Lost.Output != 20 || summary.Events != 5 {
		t.Errorf("%v, %+v", err, summary)
	}
	want := []string{Started, Lost, "dirtied", "dirtied", "dirtied", "dirtied", "dirtied", Ended}
	if got := eventsOf(lines); !reflect.DeepEqual(got, want) || lines[1].Summary.Lost.Output != 20 {
		t.Errorf("%q", got)
	}
}

// unprivileged refuses to be read for some time.
type unprivileged struct {
	recording
	without atomic.Bool
}

func (u *unprivileged) Lost() (event.Lost, error) {
	if u.without.Load() {
		return event.Lost{}, unix.EPERM
	}
	return u.recording.Lost()
}

// Where it is attached is told anew when modules come or go, to the journal, too.
func TestRehooked(t *testing.T) {
	var lines, journal []Line
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		rehooked := make(chan func() []Hook)
		source := &unprivileged{}
		go func() {
			time.Sleep(time.Second)
			rehooked <- func() []Hook {
				source.without.Store(true) // as while it is tried which privileges are needed
				time.Sleep(1500 * time.Millisecond)
				source.without.Store(false)
				return []Hook{{Purpose: "p", Symbol: "s", Method: "kprobe"}, {Purpose: "q", Without: "no page is seen"}, {Purpose: "r", Awaits: "siw"}, {Purpose: "s", Awaits: "siw"}}
			}
		}()
		_, err := Run(ctx, Config{
			Source: source, Rehooked: rehooked, Hooks: []Hook{{Purpose: "p"}}, Proc: t.TempDir(), Cgroup: t.TempDir(),
			Write: func(l Line) error { lines = append(lines, l); return nil },
			Tell:  func(l Line) error { journal = append(journal, l); return nil },
		})
		if err != nil {
			t.Error(err)
		}
	})
	if got := eventsOf(lines); !reflect.DeepEqual(got, []string{Started, Rehooked, Ended}) || !reflect.DeepEqual(eventsOf(journal), got) {
		t.Fatalf("%q", got)
	}
	text := lines[1].Text()
	if lines[1].Hooks[0].Symbol != "s" || !strings.Contains(text, "1 of 2 places are watched now\nnot seen: no page is seen\nwatched from when they are loaded: siw\n") {
		t.Errorf("%+v: %q", lines[1], text)
	}
}
