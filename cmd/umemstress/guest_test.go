//go:build guest

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"umemstress/cmd/umemstress/internal/exit"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"umemstress/workload"
	"umemstress/workload/evidence"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// These tests run the command on a real kernel with a soft-RoCE device: in the
// lab's guest.

var expectVerdict = flag.String("expect-verdict", "", "what the preset quick proves on this kernel: data-lost, clean or refused")

// command is the command line args, not started yet.
func command(args ...string) *exec.Cmd {
	executable, err := os.Executable()
	if err != nil {
		panic(err) // /proc is mounted in every guest
	}
	cmd := exec.Command(executable, args...)
	cmd.Env = append(os.Environ(), asCommand+"=1")
	return cmd
}

// small keeps a run short where the number of pages does not matter.
func small(args ...string) []string {
	return append([]string{"run", "--file-size", "2M", "--anon-size", "2M"}, args...)
}

// outcome runs the command to its end.
func outcome(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := command(args...)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	err := cmd.Run()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	return out.String(), log.String(), cmd.ProcessState.ExitCode()
}

// here runs the command in this process, which saves the start of another, and has
// leaktest see the descriptors that it leaves open. What is to be signalled, or to be in a
// cgroup or a user of its own, takes outcome or command.
func here(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	defer logrus.SetOutput(os.Stderr)
	var out, log bytes.Buffer
	code = execute(t.Context(), args, &out, &log)
	return out.String(), log.String(), code
}

// leftovers are what a run could leave behind on this machine.
func leftovers(t *testing.T) string {
	t.Helper()
	var found []string
	for _, pattern := range []string{
		"/sys/block/loop*/loop/backing_file", // only of loop devices in use
		filepath.Join(os.TempDir(), "umemstress-scratch-*"),
	} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, names...)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(found, "\n") + string(mounts)
}

// holdFlusher keeps the flusher from coming between the phases of a run: the pages that ext4 has
// dropped in other tests count as dirty (docs/findings/dirty-count.md), and where they are more than
// the kernel leaves in peace, it writes each page back as soon as it is dirty, and so before the first
// bytes of the traffic are there.
func holdFlusher(t *testing.T) {
	t.Helper()
	for _, limit := range []struct{ name, percent string }{{"dirty_ratio", "100"}, {"dirty_background_ratio", "99"}} {
		path := filepath.Join("/proc/sys/vm", limit.name)
		had := readFile(t, path)
		if err := os.WriteFile(path, []byte(limit.percent), 0); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := os.WriteFile(path, []byte(had), 0); err != nil {
				t.Error(err)
			}
		})
	}
}

// The preset quick gives the verdict that this kernel is known for, the channels
// agree to the page, and the same verdict comes from the evidence.
func TestQuick(t *testing.T) {
	holdFlusher(t)
	before := leftovers(t)
	dir := filepath.Join(t.TempDir(), "evidence")
	stdout, stderr, code := outcome(t, "run", "--file-size", "64M", "--format", "json", "--observe", "require", "-o", dir)
	var r record.Record
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatalf("%v in %q; %s", err, stdout, stderr)
	}
	if string(r.Verdict) != *expectVerdict {
		t.Fatalf("%s (%s), want %s", r.Verdict, r.Reason, *expectVerdict)
	}
	const pages = 16384
	probes, disk := r.Channels.Probes, r.Channels.Disk
	rise, _ := r.Channels.WarningRise()
	switch r.Verdict {
	case record.DataLost:
		if code != record.DataLost.ExitCode() {
			t.Errorf("exit code %d", code)
		}
		if probes.BufferlessPages != pages || disk.StalePages != pages || disk.OldPages != pages || rise != pages {
			t.Errorf("the channels disagree: probes %d, disk %d (%d old), warning_count %d", probes.BufferlessPages, disk.StalePages, disk.OldPages, rise)
		}
		if f := r.Channels.Folios; f.StrippedPages != pages || f.StrippedFolios != pages || probes.BufferlessFolios != pages {
			t.Errorf("the frames say that %d pages in %d folios were stripped, and the probes that %d folios were buffer-less; want %d", f.StrippedPages, f.StrippedFolios, probes.BufferlessFolios, pages)
		}
		if r.Channels.Kmsg.BufferlessPages == 0 {
			t.Error("no message of ext4 was read")
		}
	case record.Clean:
		if f := r.Channels.Folios; f.State != record.StateOK || f.StrippedPages != 0 {
			t.Errorf("folios %+v, of a kernel that leaves the buffers of pinned pages alone", f)
		}
		if code != exit.Clean || probes.BufferlessPages != 0 || probes.UnannouncedPages != pages || disk.StalePages != 0 || disk.CheckedPages != pages || rise != 0 {
			t.Errorf("exit code %d, %+v, %+v, warning_count %d", code, probes, disk, rise)
		}
	case record.Refused:
		if code != exit.Clean || probes.DirtiedPages != 0 || !strings.Contains(r.Reason, "EFAULT") {
			t.Errorf("exit code %d, %+v, %q", code, probes, r.Reason)
		}
	}
	if r.Verdict != record.Refused {
		// As after a machine died: what named the stacks is in the events themselves.
		if events := readFile(t, filepath.Join(dir, "events.jsonl")); !strings.Contains(events, `{"stack":`) || !strings.Contains(events, "ib_umem_release+0x") {
			t.Errorf("the stacks of the events have no names: %s", events)
		}
	}
	again, stderr, code2 := outcome(t, "verdict", "--format", "json", dir)
	var judged record.Record
	if err := json.Unmarshal([]byte(again), &judged); err != nil || judged.Verdict != r.Verdict || code2 != code || len(judged.Disagreements) > 0 {
		t.Errorf("verdict says %s (exit code %d), %q, %v; %s", judged.Verdict, code2, judged.Disagreements, err, stderr)
	}
	if after := leftovers(t); after != before {
		t.Errorf("left behind:\n%s\nbefore:\n%s", after, before)
	}
}

// The report for a person names the verdict, the channels and what it means.
func TestQuickReport(t *testing.T) {
	stdout, stderr, _ := outcome(t, small("-o", filepath.Join(t.TempDir(), "evidence"))...)
	for _, want := range []string{"verdict ", strings.ToUpper(*expectVerdict), "probes ", "kmsg ", "disk ", "meaning ", "evidence "} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the report lacks %q:\n%s%s", want, stdout, stderr)
		}
	}
}

// The control: with nothing stripped, every page reaches the disk.
func TestNothingStripped(t *testing.T) {
	stdout, stderr, code := outcome(t, small("--strip", "none", "--qp", "3", "-s", "5000", "-o", filepath.Join(t.TempDir(), "evidence"))...)
	if code != exit.Clean {
		t.Errorf("exit code %d: %s%s", code, stdout, stderr)
	}
}

// reachable are the phases that this kernel lets a run come to.
func reachable() []string {
	phases := scenario.Phases()
	if *expectVerdict == string(record.Refused) {
		return phases[:slices.Index(phases, scenario.PhasePin)+1]
	}
	return phases
}

// interrupt starts a run, sends it a signal as soon as it says that it is in the
// phase, and waits for it.
func interrupt(t *testing.T, dir, phase string, signal syscall.Signal) (stderr string, state *os.ProcessState) {
	t.Helper()
	run := begin(t, "phase "+phase, small("-o", dir)...)
	run.signal(t, signal)
	run.end(t, time.Minute)
	return run.log.text.String(), run.cmd.ProcessState
}

// SIGINT in any phase ends the run soon, with the exit code of an interruption or
// of a run that had come to its end, and nothing is left.
func TestInterrupt(t *testing.T) {
	before := leftovers(t)
	for _, phase := range reachable() {
		dir := filepath.Join(t.TempDir(), phase)
		stderr, state := interrupt(t, dir, phase, unix.SIGINT)
		last := phase == reachable()[len(reachable())-1]
		if code := state.ExitCode(); code != exit.Interrupted && !last {
			t.Errorf("in phase %s: exit code %d: %s", phase, code, stderr)
		}
		if _, err := evidence.Reexamine(t.Context(), dir, workload.Scenarios().Facts, logrus.StandardLogger()); err != nil {
			t.Errorf("in phase %s: %v", phase, err)
		}
		if after := leftovers(t); after != before {
			t.Errorf("in phase %s: left behind:\n%s\nbefore:\n%s", phase, after, before)
		}
	}
}

// A killed run leaves nothing that a new one stumbles over.
func TestKill(t *testing.T) {
	before := leftovers(t)
	phases := reachable()
	phase := phases[len(phases)-1]
	if slices.Contains(phases, scenario.PhaseWriteAgain) {
		phase = scenario.PhaseWriteAgain
	}
	dir := filepath.Join(t.TempDir(), "killed")
	_, state := interrupt(t, dir, phase, unix.SIGKILL)
	if state.Sys().(syscall.WaitStatus).Signal() != unix.SIGKILL {
		t.Fatalf("it was not killed: %v", state)
	}
	if r, err := evidence.Reexamine(t.Context(), dir, workload.Scenarios().Facts, logrus.StandardLogger()); err != nil || !strings.Contains(r.Reason, "the evidence ends in phase") {
		t.Errorf("its evidence: %+v, %v", r, err)
	}
	if after := leftovers(t); after != before {
		t.Errorf("left behind:\n%s\nbefore:\n%s", after, before)
	}
	stdout, stderr, _ := outcome(t, small("-o", filepath.Join(t.TempDir(), "next"))...)
	if !strings.Contains(stdout, strings.ToUpper(*expectVerdict)) {
		t.Errorf("the next run: %s%s", stdout, stderr)
	}
}
