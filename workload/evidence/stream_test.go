package evidence

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// unsyncable is a stream to where lines can be written and not synced.
func unsyncable(t *testing.T) *stream {
	t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reader.Close(); writer.Close() })
	return &stream{file: writer}
}

// Lines that could not be synced are never taken for synced, and the first error stays.
func TestFailedSyncStays(t *testing.T) {
	s := unsyncable(t)
	if err := errors.Join(s.sync(), s.add([]byte("line"))); err != nil {
		t.Fatal(err)
	}
	first := s.sync()
	if !errors.Is(first, unix.EINVAL) || strings.Count(first.Error(), "write the evidence") != 1 {
		t.Fatalf("%v", first)
	}
	for range 3 {
		if err := s.sync(); !errors.Is(err, first) {
			t.Errorf("then %v", err)
		}
		if err := s.add([]byte("more")); !errors.Is(err, first) {
			t.Errorf("a line after it: %v", err)
		}
	}
}

// What cannot be written is told once, with what to do, however often it is tried.
func TestFullStream(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	s := &stream{file: full}
	first := s.add([]byte("line"))
	if !errors.Is(first, unix.ENOSPC) || !strings.Contains(first.Error(), "choose another directory with --output") {
		t.Fatalf("%v", first)
	}
	for range 1000 {
		if err := s.add([]byte("line")); !errors.Is(err, first) {
			t.Fatalf("then %v", err)
		}
	}
	if err := s.sync(); !errors.Is(err, first) {
		t.Errorf("sync: %v", err)
	}
}

// A line that is added while others are synced waits for the next sync.
func TestLineAmidSync(t *testing.T) {
	e, err := Create(t.TempDir() + "/evidence")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	s := &e.events
	if err := s.add([]byte("a")); err != nil {
		t.Fatal(err)
	}
	s.syncing.Lock() // as another that syncs
	if err := s.add([]byte("b")); err != nil {
		t.Fatal(err)
	}
	s.syncing.Unlock()
	if err := s.sync(); err != nil || s.synced != 2 {
		t.Errorf("%d lines synced, %v", s.synced, err)
	}
	if err := s.add([]byte("c")); err != nil || s.synced != 2 || s.added != 3 {
		t.Errorf("%d of %d lines synced, %v", s.synced, s.added, err)
	}
}
