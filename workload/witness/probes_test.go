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
		{Inode: own, Holder: event.HolderDIO, PID: 4000, DirtiedPages: 3, BufferlessPages: 2, UnannouncedPages: 3, DirtiedFolios: 3, BufferlessFolios: 2},
		{Inode: own, Holder: event.HolderDIO, DirtiedPages: 4, UnannouncedPages: 4, DirtiedFolios: 1},
		{Inode: other, PID: 4000, DirtiedPages: 1000},
		{PID: 4000, DetachedPages: 5, DirtiedPages: 5},
		{PID: 4001, DetachedPages: 1000, DirtiedPages: 1000},
		{DetachedPages: 1000, DirtiedPages: 1000},
	}
	w.tallyProbes()
	want := record.ProbesChannel{State: record.StateOK, Events: 2, BufferlessPages: 2, UnannouncedPages: 7, DirtiedPages: 7, DetachedPages: 5, DirtiedFolios: 4, BufferlessFolios: 2}
	if got := w.channels.Probes; !reflect.DeepEqual(got, want) {
		t.Errorf("tallied %+v, want %+v", got, want)
	}
}
