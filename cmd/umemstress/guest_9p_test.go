//go:build guest

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/workload/record"
)

// modulesOf9P are what a run loads: the guest's files are on 9p.
var modulesOf9P = []string{"9pnet_fd"}

// lacks9P says whether the kernel's 9p client is from before direct reads went through netfs, which has told
// of them there since (TestHoldersHere of package probes holds that).
func lacks9P() bool {
	_, err := os.Stat("/proc/fs/netfs")
	return err != nil
}

// pinned9P skips the test where a direct read from 9p pins nothing; that it is refused there, Test9PLacking says.
func pinned9P(t *testing.T) {
	t.Helper()
	if lacks9P() {
		t.Skip("this kernel copies what is read from 9p: use Linux 6.8 or newer, such as 6.12")
	}
}

// The channels agree to the page, the probes see the release in the thread that reads, and the module
// goes with the run. The pages are pinned, so that reclaim leaves them alone.
func Test9P(t *testing.T) {
	pinned9P(t)
	noModules(t, modulesOf9P, nothing)
	dir := filepath.Join(t.TempDir(), "evidence")
	r, code := ran(t, "--holder", "9p", "--observe", "require", "-o", dir)
	const pages = 512
	probes, disk, folios := r.Channels.Probes, r.Channels.Disk, r.Channels.Folios
	rise, _ := r.Channels.WarningRise()
	if r.Verdict != record.Clean || code != exit.Clean || len(r.Disagreements) > 0 {
		t.Errorf("%s (%s), exit code %d; %q", r.Verdict, r.Reason, code, r.Disagreements)
	}
	if probes.UnannouncedPages != pages || probes.DirtiedPages != pages || probes.BufferlessPages != 0 || disk.StalePages != 0 || rise != 0 || folios.StrippedPages != 0 || r.Traffic.Held != 1 {
		t.Errorf("the channels disagree: probes %+v, disk %d stale, warning_count %d, frames %d; %d calls held", probes, disk.StalePages, rise, folios.StrippedPages, r.Traffic.Held)
	}
	events := readFile(t, filepath.Join(dir, "events.jsonl"))
	for _, want := range []string{`"holder":"9p"`, "netfs_unbuffered_read_iter_locked+0x", `"comm":"` + r.Process.Comm + `"`} {
		if !strings.Contains(events, want) {
			t.Errorf("no %q in the events: %s", want, events)
		}
	}
	noModules(t, modulesOf9P, nothing)
}

// Its server is killed or stopped amid the reads.
func Test9PServerKilled(t *testing.T) {
	pinned9P(t)
	serverKilled(t, "9p", "9p", modulesOf9P, record.Clean)
}

func Test9PServerStopped(t *testing.T) {
	pinned9P(t)
	serverStopped(t, "9p", modulesOf9P)
}

// The reads of a run that is killed end with its server, and no module is left; TestMain looks for
// processes and mounts.
func Test9PKilled(t *testing.T) {
	pinned9P(t)
	killedIn(t, "phase strip", "--holder", "9p")
	noModules(t, modulesOf9P, nothing)
}

// Who observes a machine that has 9p is told whose reads they are.
func Test9PObserved(t *testing.T) {
	pinned9P(t)
	observed(t, "9p", false, record.Clean)
}

// A kernel that copies what is read from 9p is found out by a read, and told of in one sentence.
func Test9PLacking(t *testing.T) {
	if !lacks9P() {
		t.Skip("this kernel pins for a direct read from 9p: use one before Linux 6.8, such as 5.10 or 6.1")
	}
	stdout, stderr, code := outcome(t, small("--holder", "9p", "-o", filepath.Join(t.TempDir(), "evidence"))...)
	if code != exit.HostLacks || !strings.Contains(stderr, "a direct read from 9p pins no page in this kernel") || strings.Count(strings.TrimSpace(stderr), "\n") > 0 {
		t.Errorf("exit code %d: %s%s", code, stdout, stderr)
	}
	noModules(t, modulesOf9P, nothing)
}
