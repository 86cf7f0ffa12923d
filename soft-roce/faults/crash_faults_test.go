//go:build faults

package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"umemstress/soft-roce/lab/kernels"
	"umemstress/workload/evidence"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// unfixed is the kernel that dies of the bug.
const unfixed = "5.10-unfixed"

// exitCrashed is the exit code of the verdict, on the console as well as in the files.
var exitCrashed = record.Crashed.ExitCode()

// haveUnfixed skips the test where nobody can give it the kernel. CI can, and a test that it skips is
// none.
func haveUnfixed(t *testing.T) {
	t.Helper()
	store, err := kernels.DefaultStore()
	if err != nil {
		t.Fatal(err)
	}
	_, err = store.Find(t.Context(), unfixed)
	switch {
	case err == nil:
	case os.Getenv("CI") != "":
		t.Fatalf("CI is set, so that this test is not skipped: %v", err)
	default:
		t.Skip(err)
	}
}

// The tests of crashes fail in CI, and are skipped elsewhere, where the kernel that crashes is missing;
// make has CI look for it before anything else, so that the matrix has its column.
func TestCrashKernelIsDemanded(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for ci, want := range map[string]string{"yes": "--- FAIL: TestCrashes", "": "--- SKIP: TestCrashes"} {
		empty := t.TempDir()
		p := start(t, []string{"XDG_CACHE_HOME=" + empty, "UMEMSTRESS_KERNEL_DIR=", "CI=" + ci}, self, "-test.v", "-test.run", "^TestCrashes$")
		if !p.ended(time.Minute) || !strings.Contains(p.stdout.String(), want) || !strings.Contains(p.stdout.String(), "kernel "+unfixed+" is on no mirror: build it with") {
			t.Errorf("CI=%s: want %s, of a kernel that is on no mirror: %s", ci, want, p)
		}
		p = start(t, nil, "make", "--dry-run", "--directory", "../..", "kernels", "CI="+ci)
		if fetches := p.ended(time.Minute) && strings.Contains(p.stdout.String(), "for k in "+unfixed+" "); fetches != (ci != "") {
			t.Errorf("CI=%s: does make look for the kernel? %v: %s", ci, fetches, p)
		}
	}
}

// deadly are the ways in which a kernel dies of the bug: with one thread, or as a whole.
var deadly = map[string][]string{
	"a BUG that kills a thread": nil,
	"a panic":                   {"--append", "oops=panic panic=1"},
}

// However the kernel dies of a run, the verdict is that it did, and what is on disk then names
// the program, the file, how many pages, and from where they were dirtied.
func TestCrashes(t *testing.T) {
	haveUnfixed(t)
	for what, append := range deadly {
		for number := range *crashes {
			dir := filepath.Join(t.TempDir(), "evidence")
			line := slices.Concat([]string{program(t), "lab", "run", "--kernel", unfixed, "--cpus", "1", "--timeout", "2m"}, append,
				[]string{"--", "--preset", "quick", "--allow-crash", "--output", dir})
			p := start(t, nil, line...)
			if !p.ended(3 * time.Minute) {
				t.Errorf("%s %d: it did not end: %s", what, number, p)
				continue
			}
			for _, fault := range slices.Concat(crashFaults(p, dir), verdictFaults(t, dir)) {
				t.Errorf("%s %d: %s", what, number, fault)
			}
		}
		fmt.Printf("%d of %s\n", *crashes, what)
	}
}

// withoutLog keeps the kernel's log from the program, and the flusher from its pages: where that dies
// first, the program's thread may wait for the page that it had locked, and not be gone.
const withoutLog = `echo 0 >/proc/sys/vm/dirty_writeback_centisecs; rm /dev/kmsg; exec "$@"`

// Where nobody may read the kernel's log, the thread that is gone from msync tells of its death, and the
// run neither waits for its answer nor says more than it could see.
func TestCrashUntold(t *testing.T) {
	haveUnfixed(t)
	for what, c := range map[string]struct {
		observe string
		verdict record.Verdict
		why     string
	}{
		"with the probes":    {"require", record.Crashed, "the kernel ended a thread of this run in msync, and nobody could read why in its log"},
		"without the probes": {"off", record.Inconclusive, "phase settle: crashed: the kernel ended the thread in msync"},
	} {
		dir := t.TempDir()
		into := filepath.Join(dir, "evidence")
		p := start(t, nil, program(t), "lab", "exec", "--kernel", unfixed, "--cpus", "1", "--timeout", "2m", "--share", dir, "--serial", filepath.Join(dir, "console"), "--",
			"sh", "-ec", withoutLog, "sh", program(t), "run", "--preset", "quick", "--allow-crash", "--observe", c.observe, "--output", into)
		if !p.ended(3 * time.Minute) {
			t.Errorf("%s: it did not end: %s", what, p)
			continue
		}
		r, err := evidence.Load(into)
		if err != nil {
			t.Errorf("%s: %v: %s", what, err, p)
			continue
		}
		if r.Verdict != c.verdict || !strings.HasPrefix(r.Reason, c.why) || r.Channels.Kmsg.State != record.StateAbsent {
			t.Errorf("%s: %s (%s), by the log %+v; want %s (%s): %s", what, r.Verdict, r.Reason, r.Channels.Kmsg, c.verdict, c.why, p)
		}
		if last := r.Phases[len(r.Phases)-1]; last.Name != scenario.PhaseSettle || last.Gone != "msync" || last.Seconds > 10 {
			t.Errorf("%s: it ended in %+v, and is to have seen that at once", what, last)
		}
		fmt.Printf("%s, without the kernel's log: %s after %.1f s in msync\n", what, r.Verdict, r.Phases[len(r.Phases)-1].Seconds)
	}
}

// crashFaults says what is wrong with what a run left that its kernel died of.
func crashFaults(p *process, dir string) (faults []string) {
	if p.code() != exitCrashed || !strings.Contains(p.stdout.String(), "CRASHED") {
		faults = append(faults, fmt.Sprintf("it is not said to have crashed: %s", p))
	}
	r, err := evidence.Load(dir)
	if err != nil {
		return append(faults, err.Error())
	}
	if r.Process.Comm != "umemstress" || r.Process.PID == 0 {
		faults = append(faults, fmt.Sprintf("the process is %+v", r.Process))
	}
	if r.File.Inode == 0 || r.File.Device == "" {
		faults = append(faults, fmt.Sprintf("the file is %+v", r.File))
	}
	if pages := uint64(r.Regions[0].Pages); r.Channels.Probes.BufferlessPages != pages {
		faults = append(faults, fmt.Sprintf("the probes have %d pages of %d without buffers", r.Channels.Probes.BufferlessPages, pages))
	}
	if !released(r) {
		faults = append(faults, fmt.Sprintf("no stack has the release: %q", r.Channels.Probes.Stacks))
	}
	return faults
}

// released tells whether a stack of the probes reaches from the pages to the release.
func released(r *record.Record) bool {
	for _, frames := range r.Channels.Probes.Stacks {
		if strings.Contains(strings.Join(frames, "\n"), "ib_umem_release") {
			return true
		}
	}
	return false
}

// verdictFaults says what is wrong with what the files are judged as.
func verdictFaults(t *testing.T, dir string) []string {
	t.Helper()
	p := start(t, nil, program(t), "verdict", dir)
	if !p.ended(20*time.Second) || p.code() != exitCrashed {
		return []string{fmt.Sprintf("the files are judged otherwise: %s", p)}
	}
	return nil
}

// A guest in which everything is run dies in one scenario, and that one is told.
func TestCrashInEverything(t *testing.T) {
	haveUnfixed(t)
	dir := filepath.Join(t.TempDir(), "evidence")
	p := start(t, nil, program(t), "lab", "run", "--kernel", unfixed, "--append", "oops=panic panic=1", "--timeout", "5m",
		"--", "--preset", "everything", "--allow-crash", "--output", dir)
	if !p.ended(6*time.Minute) || p.code() != exitCrashed || !strings.Contains(p.stdout.String(), "crashed") {
		t.Fatalf("it is not said to have crashed: %s", p)
	}
	logs, err := filepath.Glob(filepath.Join(dir, "*", evidence.ConsoleFile))
	if err != nil || len(logs) != 1 {
		t.Fatalf("the console is with %q, %v", logs, err)
	}
	for _, fault := range verdictFaults(t, filepath.Dir(logs[0])) {
		t.Error(fault)
	}
	if _, err := os.Stat(filepath.Join(dir, evidence.ConsoleFile)); err != nil {
		t.Error(err)
	}
}
