//go:build guest

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/workload/late"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// modulesOf9P are what a run loads: the guest's files are on 9p.
var modulesOf9P = []string{"9pnet_fd"}

// byVirtio says whether the kernel's 9p client is from before direct reads went through netfs, which has told
// of them there since (TestHoldersHere of package probes holds that): it pins what it reads over virtio alone.
func byVirtio() bool {
	_, err := os.Stat("/proc/fs/netfs")
	return err != nil
}

// endsOf9P is what becomes of pages that a direct read from 9p holds.
func endsOf9P() record.Verdict {
	if byVirtio() {
		return record.DataLost
	}
	return record.Clean
}

// ofNetfs skips the test where direct reads from 9p do not go through netfs.
func ofNetfs(t *testing.T) {
	t.Helper()
	if byVirtio() {
		t.Skip("this kernel marks no page dirty that is read from 9p, as Test9PVirtio holds: use Linux 6.8 or newer, such as 6.12")
	}
}

// ofVirtio skips the test where they do.
func ofVirtio(t *testing.T) {
	t.Helper()
	if !byVirtio() {
		t.Skip("this kernel pins for a direct read over sockets, too: use one before Linux 6.8, such as 5.10 or 6.1")
	}
}

// The channels agree to the page, the probes see the release in the thread that reads, and the module
// goes with the run. The pages are pinned, so that reclaim leaves them alone.
func Test9P(t *testing.T) {
	ofNetfs(t)
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
	serverKilled(t, "9p", "9p", modulesOf9P, endsOf9P())
}

func Test9PServerStopped(t *testing.T) {
	serverStopped(t, "9p", modulesOf9P)
}

// The reads of a run that is killed end with its server, or its session with the host's, and no module is left; TestMain
// looks for processes and mounts. The next run has the share again.
func Test9PKilled(t *testing.T) {
	for _, phase := range []string{"phase pin", "phase strip"} {
		killedIn(t, phase, "--holder", "9p")
		noModules(t, modulesOf9P, nothing)
	}
	if r, _ := ran(t, "--holder", "9p", "-o", filepath.Join(t.TempDir(), "evidence")); r.Verdict != endsOf9P() {
		t.Errorf("the next run: %s (%s)", r.Verdict, r.Reason)
	}
}

// Who observes a machine that has 9p is told whose reads they are.
func Test9PObserved(t *testing.T) {
	ofNetfs(t)
	observed(t, "9p", false, record.Clean)
}

// What is read over virtio is never marked dirty: it is lost without a strip, on whatever file system, and no witness but the
// disk sees anything.
func Test9PVirtio(t *testing.T) {
	ofVirtio(t)
	for _, fs := range []string{"ext4", "xfs"} {
		r, code := ran(t, "--holder", "9p", "--fs", fs, "--strip", "none", "--observe", "require", "-o", filepath.Join(t.TempDir(), "evidence"))
		const pages = 512
		probes, disk, cache := r.Channels.Probes, r.Channels.Disk, r.Channels.Cache
		rise, _ := r.Channels.WarningRise()
		if r.Verdict != record.DataLost || code != record.DataLost.ExitCode() || len(r.Disagreements) > 0 || !strings.Contains(r.Reason, "512 pages were let go without being marked dirty") {
			t.Errorf("%s: %s (%s), exit code %d; %q", fs, r.Verdict, r.Reason, code, r.Disagreements)
		}
		if probes.DirtiedPages != 0 || probes.LostCounts != 0 || disk.StalePages != pages || cache.StalePages != 0 || rise != 0 || r.Traffic.Held != 5 || r.Facts.LeftClean != scenario.LeftCleanAll || r.Facts.PinsCounted {
			t.Errorf("%s: the channels disagree: probes %+v, disk %d and cache %d stale, warning_count %d; %d calls held; %+v", fs, probes, disk.StalePages, cache.StalePages, rise, r.Traffic.Held, r.Facts)
		}
	}
	noModules(t, modulesOf9P, nothing)
}

// As many reads as may wait leave QEMU threads for the guest's files and its disk; one more is refused.
func Test9PVirtioMost(t *testing.T) {
	ofVirtio(t)
	stdout, stderr, code := outcome(t, "run", "--holder", "9p", "--strip", "none", "--file-size", "23M", "--anon-size", "4M", "-o", filepath.Join(t.TempDir(), "evidence"))
	if code != record.DataLost.ExitCode() {
		t.Errorf("exit code %d: %s%s", code, stdout, stderr)
	}
	stdout, stderr, code = outcome(t, "run", "--holder", "9p", "--strip", "none", "--file-size", "24M", "-o", filepath.Join(t.TempDir(), "evidence"))
	if code != exit.Usage || !strings.Contains(stderr, "give at most 23 MiB") {
		t.Errorf("exit code %d: %s%s", code, stdout, stderr)
	}
}

// A run that is not told how much has as many bytes as that, and says so.
func Test9PVirtioFits(t *testing.T) {
	ofVirtio(t)
	const most = 23 << 20
	stdout, stderr, code := outcome(t, "run", "--holder", "9p", "--strip", "none", "--format", "json", "-o", filepath.Join(t.TempDir(), "evidence"))
	var r record.Record
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatalf("%v, exit code %d in %q; %s", err, code, stdout, stderr)
	}
	if code != record.DataLost.ExitCode() || r.Regions[0].Bytes != most || r.File.Bytes != most || r.Channels.Disk.StalePages != most/4096 || len(r.Disagreements) > 0 {
		t.Errorf("exit code %d: %d bytes of a file of %d, %d pages stale; %q", code, r.Regions[0].Bytes, r.File.Bytes, r.Channels.Disk.StalePages, r.Disagreements)
	}
	if !strings.Contains(stderr, "the holder 9p takes at most 23 MiB here: without --file-size, the file's region has as many, in place of 64 MiB") {
		t.Errorf("it does not say so: %s", stderr)
	}
}

// What a kernel lacks that copies what is read from 9p over sockets is found out by a read, and told of in one sentence: the
// share, or that it is free.
func Test9PVirtioLacking(t *testing.T) {
	ofVirtio(t)
	lacks := func(want string) {
		t.Helper()
		stdout, stderr, code := outcome(t, small("--holder", "9p", "-o", filepath.Join(t.TempDir(), "evidence"))...)
		if code != exit.HostLacks || !strings.Contains(stderr, want) || strings.Count(strings.TrimSpace(stderr), "\n") > 0 {
			t.Errorf("exit code %d, want %q: %s%s", code, want, stdout, stderr)
		}
		noModules(t, modulesOf9P, nothing)
	}
	at := t.TempDir()
	if err := unix.Mount(late.Tag, at, "9p", 0, "trans=virtio,version=9p2000.L,cache=none"); err != nil {
		t.Fatal(err)
	}
	lacks("one run at a time can have it")
	if err := unix.Unmount(at, 0); err != nil {
		t.Fatal(err)
	}
	device := filepath.Base(filepath.Dir(deviceOf(t, late.Tag)))
	const driver = "/sys/bus/virtio/drivers/9pnet_virtio"
	if err := os.WriteFile(filepath.Join(driver, "unbind"), []byte(device), 0); err != nil {
		t.Fatal(err)
	}
	lacks("this machine has no share of its monitor's that is tagged umemstress-late")
	if err := os.WriteFile(filepath.Join(driver, "bind"), []byte(device), 0); err != nil {
		t.Fatal(err)
	}
	if r, _ := ran(t, "--holder", "9p", "-o", filepath.Join(t.TempDir(), "evidence")); r.Verdict != record.DataLost {
		t.Errorf("the next run: %s (%s)", r.Verdict, r.Reason)
	}
}

// deviceOf is the file that names the share with the tag.
func deviceOf(t *testing.T, tag string) string {
	t.Helper()
	paths, _ := filepath.Glob("/sys/bus/virtio/drivers/9pnet_virtio/*/mount_tag")
	for _, path := range paths {
		if strings.HasPrefix(readFile(t, path), tag) {
			return path
		}
	}
	t.Fatalf("no share %s among %q", tag, paths)
	return ""
}
