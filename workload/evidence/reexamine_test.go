package evidence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"umemstress/probes/event"
	"umemstress/workload/internal/worktest"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// change replaces the record in dir by one that is changed.
func change(t *testing.T, dir string, how func(*record.Record)) {
	t.Helper()
	r, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	how(r)
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, RunFile), string(data))
}

// A machine that died leaves the phase it died in and, at worst, half an event.
func TestEvidenceOfADeadMachine(t *testing.T) {
	dir := recorded(t)
	change(t, dir, func(r *record.Record) {
		r.Verdict, r.Reason, r.Settled = "", "", nil
		r.Phases = r.Phases[:len(r.Phases)-1]
		r.Phases[len(r.Phases)-1].Outcome = record.OutcomeRunning
		r.Channels.Disk = record.DiskChannel{State: record.StateAbsent}
	})
	appendTo(t, filepath.Join(dir, eventsFile), `{"index": 8, "pa`)
	r, err := again(t, dir)
	if err != nil || r.Verdict != record.Reproduced || !slices.Equal(r.Disagreements, []string{"the last line of events.jsonl was cut off"}) {
		t.Errorf("%+v, %v", r, err)
	}
}

// However much of the streams is missing, the record is judged, and what is missing is said.
func TestCutEvidenceIsJudged(t *testing.T) {
	for _, name := range []string{eventsFile, kmsgFile} {
		dir := recorded(t)
		path := filepath.Join(dir, name)
		text := read(t, path)
		for n := range len(text) {
			write(t, path, text[:n])
			r, err := again(t, dir)
			if err != nil || r.Verdict != record.DataLost || len(r.Disagreements) == 0 {
				t.Fatalf("%s cut after %d bytes: %+v, %v", name, n, r, err)
			}
		}
	}
	dir := recorded(t)
	for _, name := range []string{eventsFile, kmsgFile} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	r, err := again(t, dir)
	want := []string{"events.jsonl is missing, and the record counted 2 events", "kmsg.log is missing, and channel kmsg is ok"}
	if err != nil || r.Verdict != record.DataLost || !slices.Equal(r.Disagreements, want) {
		t.Errorf("a lone run.json: %+v, %v", r, err)
	}
}

// A record that was cut off is named as that, wherever it was.
func TestCutRecord(t *testing.T) {
	text := read(t, filepath.Join(recorded(t), RunFile))
	dir := recorded(t)
	for n := range strings.LastIndexByte(text, '}') {
		write(t, filepath.Join(dir, RunFile), text[:n])
		if _, err := again(t, dir); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("cut off or damaged after %d bytes", n)) || !strings.Contains(err.Error(), "copy the evidence again") {
			t.Fatalf("cut after %d bytes: %v", n, err)
		}
	}
}

// Streams that tell otherwise than the record are said to do so; the record counts what the
// kernel counted, so it is judged all the same.
func TestStreamsThatDisagree(t *testing.T) {
	event := func(index uint64, pages string) string {
		data, err := json.Marshal(lostEvent(index))
		if err != nil {
			t.Fatal(err)
		}
		data = []byte(strings.Replace(string(data), `"folios":4,`, "", 1))
		return strings.Replace(string(data), `"pages":4`, `"pages":`+pages, 1) + "\n"
	}
	both := event(0, "4") + event(4, "4")
	for name, c := range map[string]struct {
		events, kmsg string
		want         string
	}{
		"fewer":         {event(0, "4"), bufferlessLine + "\n", "events.jsonl holds 1 events, and the record counted 2"},
		"pages changed": {event(0, "1") + event(4, "4"), bufferlessLine + "\n", "the events tell of 5 pages of the file buffer-less, and the record counted 8"},
		"four times":    {strings.Repeat(both, 4), bufferlessLine + "\n", "the events tell of 32 pages of the file dirtied, and the record counted 8"},
		"largest index": {both + strings.Replace(event(7, "4"), `"index":7`, `"index":18446744073709551615`, 1), bufferlessLine + "\n", "1 events of events.jsonl cannot have been, the first in line 3: a run of 4 pages at index 18446744073709551615"},
		"no pages":      {both + event(8, "0"), bufferlessLine + "\n", "line 3: a run of 0 pages"},
		"huge":          {event(0, "18446744073709551615") + event(4, "18446744073709551610"), bufferlessLine + "\n", "the events tell of 18446744073709551615 pages"},
		"folios":        {both + event(8, `1,"folios":4,"x":1`), bufferlessLine + "\n", "line 3: a run of 1 pages in 4 folios"},
		"holder":        {both + strings.Replace(event(8, "4"), "umem", "um\\u001b", 1), bufferlessLine + "\n", `line 3: the holder "um\x1b"`},
		"a hole":        {both + "\x00\x00\x00\n", bufferlessLine + "\n", "1 lines of events.jsonl were lost by their file system"},
		"log":           {both, "[    1.000000] text\n", "kmsg.log holds 0 messages of pages without buffers, and the record counted 1"},
	} {
		dir := recorded(t)
		write(t, filepath.Join(dir, eventsFile), c.events)
		write(t, filepath.Join(dir, kmsgFile), c.kmsg)
		r, err := again(t, dir)
		if err != nil || r.Verdict != record.DataLost || !strings.Contains(strings.Join(r.Disagreements, "; "), c.want) {
			t.Errorf("%s: %+v, %v; want %q", name, r, err, c.want)
		}
	}
}

// Of what reclaim stripped, the events tell where it began, so they tell of less than was counted;
// more cannot be. Regions need have no pages, nor stripped pages an owner.
func TestStreamsOfOtherKinds(t *testing.T) {
	for pages, want := range map[uint64]string{8: "", 1: "", 9: "the events tell of 9 pages of the file stripped, and the record counted 8"} {
		dir := recorded(t)
		change(t, dir, func(r *record.Record) {
			stripped, dropped := uint64(8), uint64(8)
			p := &r.Channels.Probes
			p.StrippedPages, p.StrippedFolios, p.DroppedFolios, p.Events = &stripped, &stripped, &dropped, 7
		})
		own := lostEvent(0).Inode
		for _, ev := range []event.Event{
			{Kind: event.Pinned, Inode: own, Holder: event.HolderUmem, StackID: -1},
			{Kind: event.Refused, Holder: event.HolderUmem, StackID: -1},
			{Kind: event.Released, Inode: own, Holder: event.HolderUmem, StackID: -1},
			{Kind: event.Stripped, Inode: own, Pages: pages, Folios: 1, StackID: -1},
			{Kind: event.Dropped, Inode: own, Pages: 1, Folios: 1, StackID: -1},
		} {
			data, err := json.Marshal(ev)
			if err != nil {
				t.Fatal(err)
			}
			appendTo(t, filepath.Join(dir, eventsFile), string(data)+"\n")
		}
		r, err := again(t, dir)
		if err != nil || r.Verdict != record.DataLost || strings.Join(r.Disagreements, "; ") != want {
			t.Errorf("%d pages: %s, %q, %v", pages, r.Verdict, r.Disagreements, err)
		}
	}
}

// Events of other files, and names of stacks, disagree with nothing.
func TestStreamsThatAgree(t *testing.T) {
	dir := recorded(t)
	other := lostEvent(0)
	other.Inode.Number++
	data, err := json.Marshal(other)
	if err != nil {
		t.Fatal(err)
	}
	appendTo(t, filepath.Join(dir, eventsFile), string(data)+"\n"+`{"stack":1,"frames":["a+0x1","b+0x2"]}`+"\n")
	r, err := again(t, dir)
	if err != nil || len(r.Disagreements) > 0 || !slices.Equal(r.Channels.Probes.Stacks[1], []string{"a+0x1", "b+0x2"}) {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestBadEvidence(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(dir string)
		want  string
	}{
		"other program's": {func(dir string) { write(t, filepath.Join(dir, RunFile), `{"schema": "fio/v3"}`) }, "fio/v3"},
		"no schema":       {func(dir string) { write(t, filepath.Join(dir, RunFile), `{}`) }, "schema"},
		"missing":         {func(dir string) { os.Remove(filepath.Join(dir, RunFile)) }, "no run.json in it, but events.jsonl and kmsg.log: the run was killed before it saved its record"},
		"half saved": {func(dir string) {
			os.Rename(filepath.Join(dir, RunFile), filepath.Join(dir, RunFile+".new"))
		}, "no run.json in it, but run.json.new and events.jsonl and kmsg.log: the run was killed while it first saved its record"},
		"wrong type": {func(dir string) {
			write(t, filepath.Join(dir, RunFile), `{"schema": "`+record.Schema+`", "phases": 7}`)
		}, "phases"},
		"a key that is none": {func(dir string) {
			replace(t, filepath.Join(dir, RunFile), `"events": 2`, `"stacks": {"\u001b[31m": []}, "events": 2`)
		}, `\x1b[31m`},
		"event damaged": {func(dir string) { write(t, filepath.Join(dir, eventsFile), "nonsense\n") }, "events.jsonl:1"},
		"stack damaged": {func(dir string) { write(t, filepath.Join(dir, eventsFile), `{"stack":"x"}`+"\n") }, "events.jsonl:1"},
		"verdict changed": {func(dir string) {
			replace(t, filepath.Join(dir, RunFile), `"verdict": "data-lost"`, `"verdict": "clean"`)
		}, "the record says clean"},
		"no verdict": {func(dir string) {
			replace(t, filepath.Join(dir, RunFile), `"verdict": "data-lost"`, `"verdict": "fine\u001b"`)
		}, `the verdict "fine\x1b", which this version does not know`},
		"phases cut": {func(dir string) { change(t, dir, func(r *record.Record) { r.Phases = nil }) }, "amount to inconclusive (the record cannot be believed: channel probes is ok, and yet phase prepare"},
		"other file system": {func(dir string) {
			change(t, dir, func(r *record.Record) { r.Scenario.Filesystem = "z\x1bfs" })
		}, `does not know the scenario "rdma/z\x1bfs/pageout/none"`},
		"large": {func(dir string) { write(t, filepath.Join(dir, RunFile), strings.Repeat(" ", maxRecord+1)) }, "larger than the 4 MiB"},
		"long line": {func(dir string) {
			write(t, filepath.Join(dir, eventsFile), strings.Repeat(" ", 3*maxLine))
		}, "events.jsonl:1: longer than 64 KiB"},
	} {
		dir := recorded(t)
		c.spoil(dir)
		_, err := again(t, dir)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.ContainsAny(err.Error(), "\x1b\n") {
			t.Errorf("%s: %v; want %q in it", name, err, c.want)
		}
	}
	plain := filepath.Join(t.TempDir(), "plain")
	write(t, plain, "")
	_, err := again(t, plain)
	worktest.WantUsage(t, err, "it is no directory")
}

// Evidence from before facts were recorded, and before settle had a place of its own, is
// judged by what this version knows of the scenario.
func TestReexamineOldEvidence(t *testing.T) {
	dir := recorded(t)
	change(t, dir, func(r *record.Record) {
		r.Facts, r.Settled = nil, nil
		r.Channels.Disk.Msync, r.Channels.Disk.Fsync = "0", "0"
	})
	r, err := again(t, dir)
	if err != nil || r.Verdict != record.DataLost || r.Facts == nil {
		t.Errorf("%+v, %v", r, err)
	}
}

// Facts that are recorded stand, and it is said where this version has others.
func TestRecordedFactsStand(t *testing.T) {
	better := func(s scenario.Scenario) (scenario.Facts, bool) {
		facts, all := known(s)
		facts.DropsBufferless = false
		return facts, all
	}
	r, err := Reexamine(t.Context(), recorded(t), better, quiet())
	if err != nil || r.Verdict != record.DataLost || !slices.Equal(r.Disagreements, []string{"the record has the fact drops_bufferless as true, and this version as false"}) {
		t.Errorf("%+v, %v", r, err)
	}
}

// A run that the host lacked something for is told from one that proved nothing.
func TestHostLackedStaysInTheRecord(t *testing.T) {
	for _, lacked := range []bool{true, false} {
		dir := recorded(t)
		change(t, dir, func(r *record.Record) {
			r.Verdict, r.Settled, r.Channels = "", nil, record.NoChannels()
			r.Phases = []record.Phase{{Name: scenario.PhasePrepare, Outcome: record.OutcomeFailed, Detail: "no device", HostLacks: lacked}}
		})
		r, err := again(t, dir)
		if err != nil || r.Verdict != record.Inconclusive || r.HostLacked() != lacked {
			t.Errorf("%+v, %v", r, err)
		}
	}
}

// Reading ends when the context does, also where the file system does not answer.
func TestReexamineEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Reexamine(ctx, recorded(t), known, quiet()); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := readLines(ctx, recorded(t), eventsFile, func(int, []byte) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled amid lines: %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	hangs := make(chan struct{})
	defer close(hangs)
	if _, err := Interruptible(ctx, func() (int, error) { <-hangs; return 0, nil }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("hanging: %v", err)
	}
}
