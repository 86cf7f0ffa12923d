package journal

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"umemstress/probes/event"
	"umemstress/probes/observe"
)

func line(event, path string, pages uint64) observe.Line {
	return observe.Line{Schema: observe.Schema, Time: time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC), Event: event, Path: path, Pages: pages}
}

// written makes a journal of the lines and the sums, and leaves it as a machine that dies does:
// nobody closes it.
func written(t *testing.T, summary *observe.Summary, lines ...observe.Line) (string, *Journal) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "deep", "journal")
	j, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() }) // when everything was read
	for _, l := range lines {
		if err := j.Tell(l); err != nil {
			t.Fatal(err)
		}
	}
	if summary != nil {
		if err := j.Count(*summary); err != nil {
			t.Fatal(err)
		}
	}
	return dir, j
}

func read(t *testing.T, dir string) ([]observe.Line, Reading) {
	t.Helper()
	var lines []observe.Line
	r, err := Read(dir, func(l observe.Line) error { lines = append(lines, l); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return lines, r
}

// Of each kind and file there is the first event, and the sums are those of the last second.
func TestJournal(t *testing.T) {
	sums := &observe.Summary{Seconds: 3, Pinned: 1, Lost: observe.Losses{Lost: event.Lost{Events: 2}}, Sums: []observe.Sum{{Holder: "rdma", Stripped: 9}}}
	dir, j := written(t, sums,
		line(observe.Started, "", 0), line("pinned", "/a", 1), line("dirtied", "/a", 2), line("dirtied", "/a", 3), line("dirtied", "/b", 4), line("pinned", "/a", 5))
	later := *sums
	later.Seconds = 4
	if err := j.Count(later); err != nil {
		t.Fatal(err)
	}
	want := []observe.Line{line(observe.Started, "", 0), line("pinned", "/a", 1), line("dirtied", "/a", 2), line("dirtied", "/b", 4)}
	end := line(observe.Ended, "", 0)
	end.Summary = sums // nothing but the time was new later
	got, r := read(t, dir)
	if !reflect.DeepEqual(got, append(want, end)) || r.Ended || r.Cut || r.Holes != 0 {
		t.Errorf("read %+v, %+v", got, r)
	}
	// An observer that comes to its end says so itself.
	told := line(observe.Ended, "", 0)
	told.Summary = &later
	if err := j.Tell(told); err != nil {
		t.Fatal(err)
	}
	if got, r := read(t, dir); !reflect.DeepEqual(got, append(want, told)) || !r.Ended {
		t.Errorf("read %+v", got)
	}
}

// What an earlier observer has left is not written over.
func TestJournalIsKept(t *testing.T) {
	dir, _ := written(t, nil, line("pinned", "/a", 1))
	_, err := Create(dir)
	var kind interface{ Usage() bool }
	if !errors.As(err, &kind) || !strings.Contains(err.Error(), "holds a journal already") {
		t.Errorf("%v", err)
	}
	if got, _ := read(t, dir); len(got) != 1 {
		t.Errorf("read %+v", got)
	}
}

// What the machine's death leaves of it is read; what cannot be a journal is refused.
func TestReadDamaged(t *testing.T) {
	damage := func(text string) string {
		dir, _ := written(t, nil, line("pinned", "/a", 1))
		f, err := os.OpenFile(filepath.Join(dir, EventsFile), os.O_APPEND|os.O_WRONLY, 0)
		if err == nil {
			_, err = f.WriteString(text)
		}
		if err = errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	if got, r := read(t, damage(`{"schema":"umemstress.ev`)); len(got) != 1 || !r.Cut {
		t.Errorf("cut off: %+v, %+v", got, r)
	}
	if got, r := read(t, damage("\x00\x00\x00\n"+`{"schema":"umemstress.event/v1","event":"dropped"}`+"\n")); len(got) != 2 || r.Holes != 1 {
		t.Errorf("with a hole: %+v, %+v", got, r)
	}
	for text, want := range map[string]string{
		"no JSON\n": "line 2: invalid character",
		`{"schema":"umemstress.event/v9"}` + "\n": `the schema "umemstress.event/v9"`,
		"{}\n": `the schema ""`,
		`{"schema":"umemstress.event/v1","event":"summary"}` + "\n": "has no sums",
		strings.Repeat("x", maxLine+1) + "\n":                       "longer than 65536 bytes",
	} {
		if _, err := Read(damage(text), func(observe.Line) error { return nil }); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
	dir := damage("")
	if err := os.WriteFile(filepath.Join(dir, summaryFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(dir, func(observe.Line) error { return nil }); err == nil || !strings.Contains(err.Error(), "summary.json") {
		t.Errorf("%v", err)
	}
	var kind interface{ Usage() bool }
	if _, err := Read(t.TempDir(), nil); !errors.As(err, &kind) || !strings.Contains(err.Error(), "holds no journal") {
		t.Errorf("%v", err)
	}
	if _, err := Read("/dev", nil); err == nil {
		t.Error("/dev is no journal")
	}
}

// However many files there are, it does not grow without end.
func TestJournalIsBounded(t *testing.T) {
	dir, j := written(t, nil)
	for i := range uint64(maxFirst + 100) {
		l := line("dirtied", "", 1)
		l.Inode = i + 1
		if err := j.Tell(l); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := read(t, dir); len(got) != maxFirst {
		t.Errorf("%d lines, want %d", len(got), maxFirst)
	}
	j.bytes = maxBytes
	if err := j.Tell(line(observe.Lost, "", 1)); err != nil {
		t.Fatal(err)
	}
	if got, _ := read(t, dir); len(got) != maxFirst {
		t.Errorf("%d lines, want %d", len(got), maxFirst)
	}
}
