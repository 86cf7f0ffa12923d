//go:build guest

package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/workload/record"
)

// modulesOfFUSE are none where it is built in.
func modulesOfFUSE() []string {
	_, there := os.Stat("/sys/module/fuse")
	if _, loaded := os.Stat("/sys/module/fuse/initstate"); there == nil && errors.Is(loaded, fs.ErrNotExist) {
		return nil
	}
	return []string{"fuse"}
}

// endsOfFUSE is what becomes of pages that a direct read from FUSE holds and that are paged out: since 6.9
// it pins them.
func endsOfFUSE() record.Verdict {
	if *expectVerdict == string(record.Refused) {
		return record.Clean
	}
	return record.DataLost
}

// The channels agree to the page, the probes see the release in the thread that reads, and the module
// goes with the run.
func TestFUSE(t *testing.T) {
	noModules(t, modulesOfFUSE(), nothing)
	dir := filepath.Join(t.TempDir(), "evidence")
	r, code := ran(t, "--holder", "fuse", "--observe", "require", "-o", dir)
	const pages = 512
	want := endsOfFUSE()
	lost := uint64(0)
	if want == record.DataLost {
		lost = pages
	}
	probes, disk, folios := r.Channels.Probes, r.Channels.Disk, r.Channels.Folios
	rise, _ := r.Channels.WarningRise()
	if r.Verdict != want || code != want.ExitCode() || len(r.Disagreements) > 0 {
		t.Errorf("%s (%s), exit code %d, want %s; %q", r.Verdict, r.Reason, code, want, r.Disagreements)
	}
	if probes.UnannouncedPages != pages || probes.BufferlessPages != lost || disk.StalePages != lost || uint64(rise) != lost || folios.StrippedPages != lost || r.Traffic.Held != 2 {
		t.Errorf("the channels disagree: probes %d and %d, disk %d stale, warning_count %d, frames %d; %d calls held", probes.UnannouncedPages, probes.BufferlessPages, disk.StalePages, rise, folios.StrippedPages, r.Traffic.Held)
	}
	events := readFile(t, filepath.Join(dir, "events.jsonl"))
	for _, want := range []string{`"holder":"fuse"`, "fuse_direct_io+0x", `"comm":"` + r.Process.Comm + `"`} {
		if !strings.Contains(events, want) {
			t.Errorf("no %q in the events: %s", want, events)
		}
	}
	noModules(t, modulesOfFUSE(), nothing)
}

// Its server is killed or stopped amid the reads.
func TestFUSEServerKilled(t *testing.T) {
	serverKilled(t, "fuse", "FUSE", modulesOfFUSE(), endsOfFUSE())
}
func TestFUSEServerStopped(t *testing.T) { serverStopped(t, "fuse", modulesOfFUSE()) }

// The reads of a run that is killed end with its server, and no module is left; TestMain looks for
// processes and mounts.
func TestFUSEKilled(t *testing.T) {
	for _, phase := range []string{"phase pin", "phase strip"} {
		killedIn(t, phase, "--holder", "fuse")
		noModules(t, modulesOfFUSE(), nothing)
	}
}

// Who observes a machine that has FUSE is told whose reads they are.
func TestFUSEObserved(t *testing.T) {
	if modules := modulesOfFUSE(); modules != nil {
		haveModules(t, modules)
	}
	observed(t, "fuse", false, endsOfFUSE())
}

// What the host lacks of FUSE is said in one sentence.
func TestFUSELacking(t *testing.T) {
	if modules := modulesOfFUSE(); modules != nil {
		haveModules(t, modules)
	}
	const node, limit = "/dev/fuse", "/proc/sys/fs/fuse/max_pages_limit"
	lacks := func(want string) {
		t.Helper()
		stdout, stderr, code := outcome(t, small("--holder", "fuse", "-o", filepath.Join(t.TempDir(), "evidence"))...)
		if code != exit.HostLacks || !strings.Contains(stderr, want) || strings.Count(strings.TrimSpace(stderr), "\n") > 0 {
			t.Errorf("exit code %d, want %q: %s%s", code, want, stdout, stderr)
		}
	}
	if err := unix.Rename(node, node+"-away"); err != nil {
		t.Fatal(err)
	}
	lacks("open /dev/fuse: no such file or directory; in a container, pass the node in")
	if err := unix.Rename(node+"-away", node); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(limit)
	if errors.Is(err, fs.ErrNotExist) { // up to 6.12
		return
	}
	if err := os.WriteFile(limit, []byte("32"), 0); err != nil {
		t.Fatal(err)
	}
	lacks("the kernel asks a FUSE server for 131072 bytes of a direct read of 1048576 at a time, so that it holds no more; sysctl fs.fuse.max_pages_limit=256")
	if err := os.WriteFile(limit, before, 0); err != nil {
		t.Fatal(err)
	}
}
