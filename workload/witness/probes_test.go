package witness

import (
	"errors"
	"reflect"
	"testing"

	"github.com/sirupsen/logrus/hooks/test"

	"umemstress/probes/event"
	"umemstress/workload/internal/fault"
	"umemstress/workload/record"
)

// What the host lacks leaves the probes absent, or fails a run that requires them as a lack;
// what else fails to attach is a failure, required or not.
func TestAttach(t *testing.T) {
	defect := errors.New("the verifier says no")
	for name, tt := range map[string]struct {
		attach   func() (Observer, error)
		required bool
		state    string // of the channel, if the run goes on
		lacks    bool
		warns    bool
	}{
		"switched off":     {attach: nil, state: record.StateAbsent},
		"a lack":           {attach: func() (Observer, error) { return nil, fault.Lacksf("no BTF") }, state: record.StateAbsent, warns: true},
		"a lack, required": {attach: func() (Observer, error) { return nil, fault.Lacksf("no BTF") }, required: true, lacks: true},
		"a defect":         {attach: func() (Observer, error) { return nil, defect }},
		"one, required":    {attach: func() (Observer, error) { return nil, defect }, required: true},
		"attached":         {attach: func() (Observer, error) { return &puppet{}, nil }, state: record.StateOK},
	} {
		log, said := test.NewNullLogger()
		w := &Watch{log: log}
		err := w.attach(AttachSoon(tt.attach), tt.required)
		var lacks interface{ HostLacks() bool }
		if got := errors.As(err, &lacks); (err == nil) != (tt.state != "") || got != tt.lacks {
			t.Errorf("%s: %v, a lack: %v", name, err, got)
		}
		if err == nil && w.channels.Probes.State != tt.state || (len(said.Entries) > 0) != tt.warns {
			t.Errorf("%s: state %q, %d warnings", name, w.channels.Probes.State, len(said.Entries))
		}
	}
}

// What others dirty on a busy host is no evidence of a run's: the probes are to pass over their
// files, and of pages that have none any more the owner tells.
func TestOthersAreNotTheRuns(t *testing.T) {
	log, _ := test.NewNullLogger()
	p, n := &puppet{}, &notes{}
	w := &Watch{
		file: record.File{Dev: 7 << 20, Inode: 12}, pid: 4000, evidence: n, log: log,
		unsynced: make(chan struct{}, 1), stacks: map[int32][]string{},
	}
	if err := w.attach(AttachSoon(func() (Observer, error) { return p, nil }), true); err != nil {
		t.Fatal(err)
	}
	own, other := event.Inode{Device: 7 << 20, Number: 12}, event.Inode{Device: 7 << 20, Number: 13}
	if want := (event.Filter{Files: []event.Inode{own}}); !reflect.DeepEqual(p.filter, want) {
		t.Errorf("the filter is %+v, want %+v", p.filter, want)
	}
	owner, stranger := event.Owner{PID: 4000}, event.Owner{PID: 4001}
	for _, ev := range []event.Event{
		{Inode: own, Owner: stranger, StackID: -1},     // a worker whose reader is not known
		{Inode: other, Owner: owner, StackID: -1},      // before the filter was set
		{Detached: true, Owner: owner, StackID: -1},    //
		{Detached: true, Owner: stranger, StackID: -1}, //
		{Detached: true, StackID: -1},                  // nobody's
	} {
		w.addEvent(ev)
	}
	if w.channels.Probes.Events != 2 || len(n.lines) != 2 {
		t.Errorf("%d events, lines %q, want the first and the third", w.channels.Probes.Events, n.lines)
	}
	p.counts = []event.Count{
		{Inode: own, Holder: event.HolderDIO, PID: 4000, DirtiedPages: 3, BufferlessPages: 2, UnannouncedPages: 3, DirtiedFolios: 3, BufferlessFolios: 2, StrippedPages: 512, StrippedFolios: 1},
		{Inode: own, StrippedPages: 1, StrippedFolios: 1, DroppedFolios: 2},
		{Inode: other, Holder: event.HolderDIO, StrippedPages: 1000, StrippedFolios: 1000, DroppedFolios: 1000},
		{Inode: own, Holder: event.HolderDIO, DirtiedPages: 4, UnannouncedPages: 4, DirtiedFolios: 1},
		{Inode: other, PID: 4000, DirtiedPages: 1000},
		{PID: 4000, DetachedPages: 5, DirtiedPages: 5},
		{PID: 4001, DetachedPages: 1000, DirtiedPages: 1000},
		{DetachedPages: 1000, DirtiedPages: 1000},
	}
	p.acts = []event.Act{
		{Kind: event.Stripped, Inode: own, PID: 60, Comm: "kswapd0", Owner: event.Owner{PID: 4000, Comm: "run"}, Pages: 1, Folios: 1},
		{Kind: event.Stripped, Inode: own, PID: 4000, Comm: "run", Owner: event.Owner{PID: 4000, Comm: "run"}, Pages: 512, Folios: 2},
		{Kind: event.Stripped, Inode: other, PID: 60, Comm: "kswapd0", Pages: 1000, Folios: 1000},
		{Kind: event.Dropped, Inode: own, PID: 70, Comm: "kworker/u2:2", Pages: 2, Folios: 2},
		{Kind: event.Dirtied, PID: 71, Comm: "kworker/0:1", Owner: event.Owner{PID: 4000, Comm: "run"}, Pages: 5, Folios: 5},
		{Kind: event.Dirtied, PID: 71, Comm: "kworker/0:1", Owner: event.Owner{PID: 4001}, Pages: 1000, Folios: 1000},
	}
	p.lost.Strips = 3
	w.tallyProbes()
	self := record.Process{PID: 4000, Comm: "run"}
	want := record.ProbesChannel{
		State: record.StateOK, Events: 2, BufferlessPages: 2, UnannouncedPages: 7, DirtiedPages: 7, DetachedPages: 5, DirtiedFolios: 4, BufferlessFolios: 2,
		StrippedPages: count(513), StrippedFolios: count(2), DroppedFolios: count(2), LostStrips: 3,
		Acts: []record.Act{
			{Event: event.Dirtied, Actor: record.Process{PID: 71, Comm: "kworker/0:1"}, Owner: &self, Pages: 5, Folios: 5},
			{Event: event.Dropped, Actor: record.Process{PID: 70, Comm: "kworker/u2:2"}, Folios: 2},
			{Event: event.Stripped, Actor: self, Owner: &self, Pages: 512, Folios: 2},
			{Event: event.Stripped, Actor: record.Process{PID: 60, Comm: "kswapd0"}, Owner: &self, Pages: 1, Folios: 1},
		},
	}
	if got := w.channels.Probes; !reflect.DeepEqual(got, want) {
		t.Errorf("tallied %+v, want %+v", got, want)
	}
}

func count(n uint64) *uint64 { return &n }

// What no hook is there to see is not counted as nothing, and the channel says what that is; the
// run goes on.
func TestUnseenIsNotCounted(t *testing.T) {
	const noStrip, noDrop, lessDirty = "no page is seen to be stripped", "no page is seen to be dropped", "only pages of ext4 are seen"
	for name, c := range map[string]struct {
		unseen            map[event.Kind]string
		why               string
		stripped, dropped bool
	}{
		"all is seen":    {nil, "", true, true},
		"no strips":      {map[event.Kind]string{event.Stripped: noStrip}, noStrip, false, true},
		"neither":        {map[event.Kind]string{event.Stripped: noStrip, event.Dropped: noDrop}, noDrop + "; " + noStrip, false, false},
		"something else": {map[event.Kind]string{"": lessDirty}, lessDirty, true, true},
		"where it was":   {map[event.Kind]string{event.Pinned: "no region is seen"}, "no region is seen", true, true},
	} {
		w := &Watch{log: quiet(), counted: true}
		p := &puppet{unseen: c.unseen, counts: []event.Count{{DirtiedPages: 1}}}
		if err := w.attach(AttachSoon(func() (Observer, error) { return p, nil }), true); err != nil {
			t.Fatal(err)
		}
		w.tallyProbes()
		got := w.channels.Probes
		if got.State != record.StateOK || got.Why != c.why || (got.StrippedPages != nil) != c.stripped || (got.StrippedFolios != nil) != c.stripped || (got.DroppedFolios != nil) != c.dropped {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// Where a kernel need not count the pins as such, none seen to be stripped tells nothing; what is
// seen is so.
func TestPinsThatMayNotBeSeen(t *testing.T) {
	for stripped, want := range map[uint64]*uint64{0: nil, 7: count(7)} {
		w := &Watch{log: quiet(), file: record.File{Dev: 1, Inode: 2}, observer: &puppet{counts: []event.Count{
			{Inode: event.Inode{Device: 1, Number: 2}, StrippedPages: stripped, StrippedFolios: stripped},
		}}}
		w.channels.Probes.State = record.StateOK
		w.tallyProbes()
		if got := w.channels.Probes; !reflect.DeepEqual(got.StrippedPages, want) || !reflect.DeepEqual(got.StrippedFolios, want) || got.DroppedFolios == nil {
			t.Errorf("%d stripped: %+v", stripped, got)
		}
	}
}
