//go:build guest

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"umemstress/cmd/umemstress/internal/exit"

	"golang.org/x/sys/unix"

	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// Reclaim gives the same verdict whoever asks for it, and leaves nothing behind.
func TestReclaimingStrips(t *testing.T) {
	for _, strip := range []string{"memcg", "pressure"} {
		before := tracks(t)
		stdout, stderr, _ := outcome(t, small("--strip", strip, "--observe", "require", "--format", "json", "-o", filepath.Join(t.TempDir(), strip))...)
		var r record.Record
		if err := json.Unmarshal([]byte(stdout), &r); err != nil {
			t.Fatalf("%s: %v in %q; %s", strip, err, stdout, stderr)
		}
		const pages = 512
		probes, disk := r.Channels.Probes, r.Channels.Disk
		switch {
		case string(r.Verdict) != *expectVerdict:
			t.Errorf("%s: %s (%s), want %s", strip, r.Verdict, r.Reason, *expectVerdict)
		case r.Verdict == record.DataLost && (probes.BufferlessPages != pages || disk.StalePages != pages):
			t.Errorf("%s: not all of %d pages: probes %+v, disk %+v", strip, pages, probes, disk)
		case r.Verdict == record.Clean && (probes.UnannouncedPages != pages || disk.CheckedPages != pages):
			t.Errorf("%s: probes %+v, disk %+v", strip, probes, disk)
		}
		if after := tracks(t); after != before {
			t.Errorf("%s: left behind:\n%s\nbefore:\n%s", strip, after, before)
		}
	}
}

// What a scenario changes on the machine (a cgroup, a memory hog, the pool of huge
// pages) goes with the run, whichever signal ends it, and at any time.
func TestUndone(t *testing.T) {
	phases := []string{scenario.PhasePin, scenario.PhaseStrip}
	if *expectVerdict == string(record.Refused) {
		phases = phases[:1]
	}
	for _, c := range []struct {
		args   []string
		phases []string
		sign   string // of the change, in tracks
	}{
		{[]string{"--strip", "memcg"}, phases, "cgroup /"},
		{[]string{"--strip", "pressure"}, phases, "hog /"},
		{[]string{"--fs", "hugetlbfs", "--strip", "none", "--file-size", "8M"}, []string{scenario.PhasePin}, "huge pages 4"},
	} {
		for _, phase := range c.phases {
			for _, signal := range []unix.Signal{unix.SIGINT, unix.SIGKILL} {
				name := strings.Join(c.args, " ") + ", " + signal.String() + " in phase " + phase
				before := tracks(t)
				if during := endIn(t, phase, signal, c.args...); strings.Contains(before, c.sign) || !strings.Contains(during, c.sign) {
					t.Errorf("%s: no %q in %s; before: %s", name, c.sign, during, before)
				}
				// What cleans up after a killed run outlives it for a moment.
				deadline := time.Now().Add(20 * time.Second)
				for tracks(t) != before && time.Now().Before(deadline) {
					time.Sleep(10 * time.Millisecond)
				}
				if after := tracks(t); after != before {
					t.Errorf("%s: left behind:\n%s\nbefore:\n%s", name, after, before)
				}
			}
		}
	}
}

// endIn starts a run and ends it with the signal in the phase; it returns the tracks of
// the run at that time.
func endIn(t *testing.T, phase string, signal syscall.Signal, args ...string) (during string) {
	t.Helper()
	run := begin(t, "phase "+phase, small(append(args, "-o", filepath.Join(t.TempDir(), "evidence"))...)...)
	run.signal(t, unix.SIGSTOP)
	during = tracks(t)
	run.signal(t, signal)
	run.signal(t, unix.SIGCONT)
	run.end(t, time.Minute)
	return during
}

// tracks are what a run could leave behind on this machine, with what its strips and file
// systems change.
func tracks(t *testing.T) string {
	t.Helper()
	found := []string{
		leftovers(t),
		"controllers " + readFile(t, "/sys/fs/cgroup/cgroup.subtree_control"),
		"huge pages " + readFile(t, "/proc/sys/vm/nr_hugepages"),
	}
	groups, err := filepath.Glob("/sys/fs/cgroup/umemstress-*")
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range groups {
		found = append(found, "cgroup "+group)
	}
	processes, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, process := range processes {
		command, err := os.ReadFile(process)
		switch {
		case err != nil: // it has ended
		case strings.HasSuffix(string(command), "\x00"+"hog"+"\x00"):
			found = append(found, "hog "+process)
		case strings.Contains(string(command), "\x00umemstress-janitor\x00"):
			found = append(found, "janitor "+process)
		}
	}
	return strings.Join(found, "\n")
}

// Where the OOM killer takes whole cgroups, the hog would take the run with it.
func TestOOMGroup(t *testing.T) {
	const group = "/sys/fs/cgroup/oom-test"
	shell(t, `echo +memory >/sys/fs/cgroup/cgroup.subtree_control; mkdir "$1"; echo 1 >"$1/memory.oom.group"`, group)
	defer shell(t, `rmdir "$1"; echo -memory >/sys/fs/cgroup/cgroup.subtree_control`, group)
	cmd := command(small("--strip", "pressure", "-o", filepath.Join(t.TempDir(), "evidence"))...)
	inside := exec.Command("sh", append([]string{"-ec", `echo $$ >"$0/cgroup.procs"; exec "$@"`, group, cmd.Path}, cmd.Args[1:]...)...)
	inside.Env = cmd.Env
	out, err := inside.CombinedOutput()
	if err == nil || inside.ProcessState.ExitCode() != exit.HostLacks || !strings.Contains(string(out), group+"/memory.oom.group") {
		t.Errorf("%v: %s", err, out)
	}
}
