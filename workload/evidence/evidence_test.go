package evidence

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"

	"umemstress/probes/event"
	"umemstress/workload/internal/worktest"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// lostRecord is of a run on ext4 that lost eight pages.
func lostRecord() *record.Record {
	r := &record.Record{
		Schema:   record.Schema,
		Scenario: scenario.Scenario{Holder: "rdma", Filesystem: "ext4", Strip: "pageout", Mutation: "none"},
		Facts:    &scenario.Facts{Arrival: "RDMA WRITE", DropsBufferless: true, Heals: true},
		Settled:  &record.Settled{Msync: "0", Fsync: "0"},
		Channels: record.NoChannels(),
	}
	for _, name := range scenario.Phases() {
		r.Phases = append(r.Phases, record.Phase{Name: name, Outcome: record.OutcomeDone})
	}
	r.Channels.Probes = record.ProbesChannel{State: record.StateOK, BufferlessPages: 8, UnannouncedPages: 8, DirtiedPages: 8, Events: 2}
	r.Channels.Disk = record.DiskChannel{State: record.StateOK, CheckedPages: 8, StalePages: 8}
	return r
}

// quiet is a log that nobody reads.
func quiet() logrus.FieldLogger {
	log := logrus.New()
	log.SetOutput(io.Discard)
	return log
}

// noFacts stands for a version that knows no scenario.
func noFacts(scenario.Scenario) (scenario.Facts, bool) { return scenario.Facts{}, false }

// recorded writes a directory as a run leaves it.
func recorded(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "evidence")
	e, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	r := lostRecord()
	r.Verdict, r.Reason = record.Judge(r)
	for index := range uint64(2) {
		if err := e.AddEvent(event.Event{Index: index * 4, Pages: 4, Bufferless: true, Holder: "umem"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(e.AddKmsg("[    1.000000] text"), e.Sync(), e.SaveRecord(r), e.Close()); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestEvidenceGivesTheSameVerdict(t *testing.T) {
	dir := recorded(t)
	r, err := Reexamine(dir, noFacts, quiet())
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict != record.DataLost || !strings.Contains(r.Reason, "8 of 8") {
		t.Errorf("%s: %s", r.Verdict, r.Reason)
	}
	events, whole, err := LoadEvents(dir)
	if err != nil || !whole || len(events) != 2 || events[1].Index != 4 {
		t.Errorf("%+v, %v, %v", events, whole, err)
	}
}

func TestEvidenceIsNotOverwritten(t *testing.T) {
	_, err := Create(recorded(t))
	worktest.WantUsage(t, err, "already holds")
}

// A machine that died leaves the phase it died in and, at worst, half an event.
func TestEvidenceOfADeadMachine(t *testing.T) {
	dir := recorded(t)
	r, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	r.Verdict, r.Reason = "", ""
	r.Phases = r.Phases[:len(r.Phases)-1]
	r.Phases[len(r.Phases)-1].Outcome = record.OutcomeRunning
	r.Channels.Disk = record.DiskChannel{State: record.StateAbsent}
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, RunFile), string(data))
	appendTo(t, filepath.Join(dir, eventsFile), `{"index": 8, "pa`)
	again, err := Reexamine(dir, noFacts, quiet())
	if err != nil || again.Verdict != record.Reproduced {
		t.Errorf("%+v, %v", again, err)
	}
}

func TestBadEvidence(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(dir string)
		want  string
	}{
		"cut off":         {func(dir string) { truncate(t, filepath.Join(dir, RunFile)) }, "cut off"},
		"other program's": {func(dir string) { write(t, filepath.Join(dir, RunFile), `{"schema": "fio/v3"}`) }, "fio/v3"},
		"no schema":       {func(dir string) { write(t, filepath.Join(dir, RunFile), `{}`) }, "schema"},
		"missing":         {func(dir string) { os.Remove(filepath.Join(dir, RunFile)) }, "no run.json"},
		"wrong type": {func(dir string) {
			write(t, filepath.Join(dir, RunFile), `{"schema": "`+record.Schema+`", "phases": 7}`)
		}, "phases"},
		"events missing": {func(dir string) { truncate(t, filepath.Join(dir, eventsFile)) }, "tells of 2"},
		"event damaged":  {func(dir string) { write(t, filepath.Join(dir, eventsFile), "nonsense\n") }, "events.jsonl:1"},
		"verdict changed": {func(dir string) {
			replace(t, filepath.Join(dir, RunFile), `"verdict": "data-lost"`, `"verdict": "clean"`)
		}, "the record says clean"},
	} {
		dir := recorded(t)
		c.spoil(dir)
		if _, err := Reexamine(dir, noFacts, quiet()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q in it", name, err, c.want)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func truncate(t *testing.T, path string) {
	t.Helper()
	text := read(t, path)
	write(t, path, text[:len(text)/2])
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	write(t, path, read(t, path)+text)
}

func replace(t *testing.T, path, old, text string) {
	t.Helper()
	before := read(t, path)
	if !strings.Contains(before, old) {
		t.Fatalf("%s lacks %q", path, old)
	}
	write(t, path, strings.Replace(before, old, text, 1))
}

// Evidence from before facts were recorded, and before settle had a place of its own, is
// judged by what this version knows of the scenario; facts that are recorded stand.
func TestReexamineOldEvidence(t *testing.T) {
	dir := recorded(t)
	r, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	r.Facts, r.Settled = nil, nil
	r.Channels.Disk.Msync, r.Channels.Disk.Fsync = "0", "0"
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, RunFile), string(data))
	if _, err := Reexamine(dir, noFacts, quiet()); err == nil || !strings.Contains(err.Error(), "does not know the scenario") {
		t.Errorf("a scenario that is not known: %v", err)
	}
	known := func(scenario.Scenario) (scenario.Facts, bool) {
		return scenario.Facts{DropsBufferless: true, Heals: true}, true
	}
	again, err := Reexamine(dir, known, quiet())
	if err != nil || again.Verdict != record.DataLost || again.Facts == nil {
		t.Errorf("%+v, %v", again, err)
	}
}
