//go:build guest

package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"umemstress/workload/record"
)

// modulesOfNFS are those of the client.
var modulesOfNFS = []string{"nfsv3", "nfs", "lockd", "sunrpc"}

// A direct read from NFS pins in a way that reclaim does not see, on every kernel: the channels agree
// to the page, the worker of the kernel that lets go is not taken for the owner, and the modules
// go with the run.
func TestNFS(t *testing.T) {
	noModules(t, modulesOfNFS, nothing)
	dir := filepath.Join(t.TempDir(), "evidence")
	r, code := ran(t, "--holder", "nfs", "--observe", "require", "-o", dir)
	const pages = 512
	probes, disk, folios := r.Channels.Probes, r.Channels.Disk, r.Channels.Folios
	rise, _ := r.Channels.WarningRise()
	if r.Verdict != record.DataLost || code != record.DataLost.ExitCode() || len(r.Disagreements) > 0 {
		t.Errorf("%s (%s), exit code %d; %q", r.Verdict, r.Reason, code, r.Disagreements)
	}
	if probes.BufferlessPages != pages || disk.StalePages != pages || rise != pages || folios.StrippedPages != pages {
		t.Errorf("the channels disagree: probes %d, disk %d stale, warning_count %d, frames %d", probes.BufferlessPages, disk.StalePages, rise, folios.StrippedPages)
	}
	events := readFile(t, filepath.Join(dir, "events.jsonl"))
	for _, want := range []string{`"holder":"nfs"`, "nfs_direct_read_completion+0x", `"comm":"kworker`, `"comm":"` + r.Process.Comm + `"`} {
		if !strings.Contains(events, want) {
			t.Errorf("no %q in the events: %s", want, events)
		}
	}
	noModules(t, modulesOfNFS, nothing)
}

// onNFS are the flags of a run whose file is on NFS.
var onNFS = []string{"--holder", "dio", "--fs", "nfs", "--strip", "none"}

// Pages of a file on NFS that are dirtied behind the client's back never reach the server, on any kernel.
func TestOnNFS(t *testing.T) {
	noModules(t, modulesOfNFS, nothing)
	r, code := ran(t, append([]string{"-o", filepath.Join(t.TempDir(), "evidence")}, onNFS...)...)
	const pages = 512
	c := r.Channels
	if r.Verdict != record.DataLost || code != record.DataLost.ExitCode() || len(r.Disagreements) > 0 {
		t.Errorf("%s (%s), exit code %d; %q", r.Verdict, r.Reason, code, r.Disagreements)
	}
	if c.Probes.UnannouncedPages != pages || c.Disk.StalePages != pages || c.Disk.OldPages != pages || c.Cache.StalePages != 0 || c.Disk.Proof != record.ProofDirect {
		t.Errorf("probes %+v, disk %+v, cache %+v", c.Probes, c.Disk, c.Cache)
	}
	noModules(t, modulesOfNFS, nothing)
}

// A run that is a client of two servers of its own unloads the modules once, at its end.
func TestFromNFSOnNFS(t *testing.T) {
	noModules(t, modulesOfNFS, nothing)
	r, _ := ran(t, "--holder", "nfs", "--fs", "nfs", "--strip", "none", "-o", filepath.Join(t.TempDir(), "evidence"))
	if r.Verdict != record.DataLost || r.CleanupError != "" {
		t.Errorf("%s (%s), %q", r.Verdict, r.Reason, r.CleanupError)
	}
	noModules(t, modulesOfNFS, nothing)
}

// The server that somebody kills has a successor, and the run goes on.
func TestNFSServerKilled(t *testing.T) {
	run := begin(t, "phase pin", small(append([]string{"--format", "json", "-o", filepath.Join(t.TempDir(), "evidence")}, onNFS...)...)...)
	run.signal(t, syscall.SIGSTOP) // so that it is not over before
	if err := exec.Command("pkill", "-KILL", "-f", "^/proc/self/fd/3 nfs-server").Run(); err != nil {
		t.Error(err)
	}
	run.signal(t, syscall.SIGCONT)
	// Without a server, the run would wait for ever.
	if code := run.end(t, time.Minute); code != record.DataLost.ExitCode() {
		t.Errorf("exit code %d: %s", code, &run.out)
	}
	noModules(t, modulesOfNFS, nothing)
}

// The reads of a run that is killed go on in the kernel, which asks the server again and again:
// they end all the same, and no module is left.
func TestNFSKilled(t *testing.T) {
	for _, c := range []struct {
		phase string
		args  []string
	}{
		{"phase pin", []string{"--holder", "nfs"}}, {"phase strip", []string{"--holder", "nfs"}},
		{"phase pin", onNFS}, {"phase clean", onNFS}, {"phase settle", onNFS},
	} {
		killedIn(t, c.phase, c.args...)
		noModules(t, modulesOfNFS, nothing)
	}
}

// Who observes a machine that has NFS is told whose reads they are, and not of the worker alone.
func TestNFSObserved(t *testing.T) {
	haveModules(t, modulesOfNFS)
	if line := observed(t, "nfs", false, record.DataLost); line.Actor == nil || line.Actor.PID == line.Owner.PID {
		t.Errorf("%+v", line)
	}
}
