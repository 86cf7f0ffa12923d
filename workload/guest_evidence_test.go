//go:build guest

package workload

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/workload/evidence"
	"umemstress/workload/internal/worktest"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// smallDisk is a file system of half a megabyte.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=512K"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// A run that the disk has no more room for can still say so.
func TestLastRecordOnAFullDisk(t *testing.T) {
	disk := smallDisk(t)
	dir := filepath.Join(disk, "evidence")
	e, err := evidence.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	r := &record.Record{Schema: record.Schema, Phases: []record.Phase{{Name: scenario.PhasePrepare, Outcome: record.OutcomeRunning}}}
	if err := e.SaveRecord(r); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(disk, "filler"), make([]byte, 1<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	var failed error
	for n := 0; failed == nil; n++ {
		if failed = e.AddKmsg(strings.Repeat("x", 1000)); n > 1000 {
			t.Fatal("a full disk takes a megabyte")
		}
	}
	if !errors.Is(failed, unix.ENOSPC) {
		t.Fatal(failed)
	}
	last := len(r.Phases) - 1
	r.Phases[last].Outcome, r.Phases[last].Detail = record.OutcomeFailed, failed.Error()
	if err := e.SaveRecord(r); err != nil {
		t.Fatalf("the last record: %v", err)
	}
	again, err := evidence.Load(dir)
	if err != nil || again.Phases[last].Outcome != record.OutcomeFailed || !strings.Contains(again.Phases[last].Detail, "no space left") {
		t.Errorf("%+v, %v", again, err)
	}
}

// Where there is no room for a record, a run does not begin, and leaves nothing.
func TestNoRoomForEvidence(t *testing.T) {
	disk := smallDisk(t)
	if err := os.WriteFile(filepath.Join(disk, "filler"), make([]byte, 400<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(disk, "evidence")
	_, err := evidence.Create(dir)
	if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "--output") {
		t.Errorf("%v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("%v are left, %v", entries, err)
	}
}

// Somebody else's directory is refused, and nothing is left in it.
func TestStrangersDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chown(dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	_, err := evidence.Create(dir)
	worktest.WantUsage(t, err, "belongs to user 65534")
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("%v are left, %v", entries, err)
	}
}
