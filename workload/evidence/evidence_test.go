package evidence

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"

	"umemstress/probes/event"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// lostRecord is of a run on ext4 that lost eight pages.
func lostRecord() *record.Record {
	r := &record.Record{
		Schema:   record.Schema,
		Scenario: scenario.Scenario{Holder: "rdma", Filesystem: "ext4", Strip: "pageout", Mutation: "none"},
		Facts:    &scenario.Facts{Arrival: "RDMA WRITE", DropsBufferless: true, Heals: true},
		File:     record.File{Scratch: true, Device: "loop0", Dev: 7 << 20, Inode: 12, Bytes: 8 << 12},
		Regions:  []record.Region{{Kind: record.RegionFile, Bytes: 8 << 12, Pages: 8}},
		Settled:  &record.Settled{Msync: "0", Fsync: "0"},
		Channels: record.NoChannels(),
	}
	for _, name := range scenario.Phases() {
		r.Phases = append(r.Phases, record.Phase{Name: name, Outcome: record.OutcomeDone})
	}
	r.Channels.Probes = record.ProbesChannel{State: record.StateOK, BufferlessPages: 8, UnannouncedPages: 8, DirtiedPages: 8, Events: 2}
	r.Channels.Kmsg = record.KmsgChannel{State: record.StateOK, BufferlessPages: 1}
	r.Channels.Disk = record.DiskChannel{State: record.StateOK, CheckedPages: 8, StalePages: 8}
	return r
}

// quiet is a log that nobody reads.
func quiet() logrus.FieldLogger {
	log := logrus.New()
	log.SetOutput(io.Discard)
	return log
}

// known stands for a version that knows the scenario as lostRecord has it, and none other.
func known(s scenario.Scenario) (scenario.Facts, bool) {
	r := lostRecord()
	return *r.Facts, s == r.Scenario
}

// again judges a directory again.
func again(t *testing.T, dir string) (*record.Record, error) {
	t.Helper()
	return Reexamine(t.Context(), dir, known, quiet())
}

// lostEvent is one of the two events of lostRecord.
func lostEvent(index uint64) event.Event {
	return event.Event{Inode: event.Inode{Device: 7 << 20, Number: 12}, Index: index, Pages: 4, Folios: 4, Bufferless: true, Unannounced: true, Holder: "umem", StackID: 1}
}

// bufferlessLine is what ext4 said of one page of lostRecord.
const bufferlessLine = "[   12.700000] EXT4-fs warning (device loop0): mpage_prepare_extent_to_map:2687: inode #12: comm umemstress: page 0 does not have buffers attached"

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
		if err := e.AddEvent(lostEvent(index * 4)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(e.AddKmsg("[    1.000000] text"), e.AddKmsg(bufferlessLine), e.Sync(), e.SaveRecord(r), e.Close()); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestEvidenceGivesTheSameVerdict(t *testing.T) {
	r, err := again(t, recorded(t))
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict != record.DataLost || !strings.Contains(r.Reason, "8 of 8") || len(r.Disagreements) > 0 {
		t.Errorf("%s: %s; %q", r.Verdict, r.Reason, r.Disagreements)
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
