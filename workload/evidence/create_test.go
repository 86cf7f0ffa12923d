package evidence

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/worktest"
)

// Whatever of a run is in a directory keeps others out, who touch nothing of it.
func TestEvidenceIsNotOverwritten(t *testing.T) {
	for _, left := range [][]string{
		{RunFile, eventsFile, kmsgFile}, {RunFile}, {RunFile + newSuffix}, {eventsFile, kmsgFile}, {kmsgFile},
	} {
		dir := t.TempDir()
		for _, name := range append(left, "serial.log") {
			write(t, filepath.Join(dir, name), "precious")
		}
		_, err := Create(dir)
		worktest.WantUsage(t, err, "already holds the evidence of a run")
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != len(left)+1 {
			t.Errorf("%q became %v, %v", left, entries, err)
		}
		for _, name := range left {
			if got := read(t, filepath.Join(dir, name)); got != "precious" {
				t.Errorf("%s is now %q", name, got)
			}
		}
	}
}

// Of runs that are given one directory at once, one gets it, and its evidence is whole.
func TestOneRunADirectory(t *testing.T) {
	for round := range 6 {
		dir := filepath.Join(t.TempDir(), "a", "b")
		if round%2 == 0 {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		const runs = 8
		created, errs := make([]*Directory, runs), make([]error, runs)
		var all sync.WaitGroup
		for i := range runs {
			all.Go(func() { created[i], errs[i] = Create(dir) })
		}
		all.Wait()
		won := 0
		for i, e := range created {
			if errs[i] != nil {
				worktest.WantUsage(t, errs[i], "name a new directory")
				continue
			}
			won++
			if err := errors.Join(e.AddEvent(lostEvent(0)), e.AddKmsg("x"), e.Sync(), e.SaveRecord(lostRecord()), e.Close()); err != nil {
				t.Error(err)
			}
		}
		if won != 1 {
			t.Fatalf("%d of %d got the directory: %v", won, runs, errs)
		}
		if _, err := Load(dir); err != nil {
			t.Error(err)
		}
	}
}

// Runs that are given no directory have one each, though they begin in the same second.
func TestReserve(t *testing.T) {
	t.Chdir(t.TempDir())
	now := time.Date(2026, 11, 24, 16, 8, 4, 0, time.UTC)
	const runs = 5
	names, errs := make([]string, runs), make([]error, runs)
	var all sync.WaitGroup
	for i := range runs {
		all.Go(func() {
			if names[i], errs[i] = Reserve(now); errs[i] != nil {
				return
			}
			var e *Directory
			if e, errs[i] = Create(names[i]); errs[i] == nil {
				errs[i] = e.Close()
			}
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	want := []string{"umemstress-20261124-160804"}
	for n := 2; n <= runs; n++ {
		want = append(want, fmt.Sprintf("umemstress-20261124-160804-%d", n))
	}
	if !slices.Equal(names, want) {
		t.Errorf("%q", names)
	}
	gone := t.TempDir()
	t.Chdir(gone)
	if err := os.Remove(gone); err != nil {
		t.Fatal(err)
	}
	_, err := Reserve(now)
	worktest.WantUsage(t, err, "name one with --output")
}

// A directory that others can write to is refused before anything is written to it.
func TestDirectoryOfOthers(t *testing.T) {
	for mode, want := range map[os.FileMode]string{
		0o777: "anybody can write to it", 0o757: "anybody can write to it", 0o755: "", 0o700: "", 0o777 | os.ModeSticky: "",
	} {
		dir := t.TempDir()
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		e, err := Create(dir)
		if want == "" {
			if err = errors.Join(err, e.Close()); err != nil {
				t.Errorf("%s: %v", mode, err)
			}
			continue
		}
		worktest.WantUsage(t, err, want)
		if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
			t.Errorf("%s: %v, %v are left", mode, entries, err)
		}
	}
	for _, c := range []struct {
		mode, uid, gid uint32
		want           string
	}{
		{0o775, 1000, 1000, ""}, {0o775, 0, 0, ""}, {0o775, 1000, 100, "group 100"}, {0o770, 0, 4, "group 4"}, {0o1775, 0, 4, ""}, {0o755, 0, 4, ""},
	} {
		if got := othersMayWrite(unix.S_IFDIR|c.mode, c.uid, c.gid); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
	worktest.WantUsage(t, ofOneOwner("dir", 1000, 0), "it belongs to user 1000")
	if err := ofOneOwner("dir", 1000, 1000); err != nil {
		t.Error(err)
	}
}

// What cannot be a directory is the caller's mistake.
func TestNoDirectory(t *testing.T) {
	plain := filepath.Join(t.TempDir(), "plain")
	write(t, plain, "x")
	for _, dir := range []string{plain, filepath.Join(plain, "below")} {
		_, err := Create(dir)
		worktest.WantUsage(t, err, "--output "+dir)
	}
}

// A save that fails says so once, and one that works leaves run.json alone.
func TestSaveRecordOfALostDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "evidence")
	e, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := e.SaveRecord(lostRecord()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, RunFile+newSuffix)); !os.IsNotExist(err) {
		t.Errorf("%s is left: %v", RunFile+newSuffix, err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := e.SaveRecord(lostRecord()); err == nil || strings.Count(err.Error(), "no such file") != 1 {
		t.Errorf("%v", err)
	}
}
