//go:build guest

package main

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/cmd/umemstress/internal/check"
	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/probes/lockdown"
	"umemstress/probes/observe"
	"umemstress/workload/record"
)

var lockDown = flag.Bool("lock-down", false, "lock the kernel down for confidentiality, for TestLockdown: nobody lets it out again")

// sentenceOfLockdown is what every command says of it, on one line and with the way out.
const sentenceOfLockdown = "the kernel is locked down for confidentiality, and lets no probe read its memory, whoever asks (boot it with lockdown=integrity"

// saysLockdown wants one sentence of it, on one line.
func saysLockdown(t *testing.T, who, said string) {
	t.Helper()
	if strings.Count(said, sentenceOfLockdown) != 1 || strings.Count(said, "\n") != 1 {
		t.Errorf("%s said: %s", who, said)
	}
}

// A kernel that is locked down is named as that by whoever wants probes of it, with the way out: observe
// goes on by the kernel's log and ext4's counters, and by these alone tells what is dropped; a run goes on
// without, unless it is to have them; and check knows that there are none.
func TestLockdown(t *testing.T) {
	if !*lockDown {
		t.Skip("say -lock-down in a guest that nothing else is to run in, as 'make lockdown' does")
	}
	holdFlusher(t)
	raiseLockdown(t)

	stdout, stderr, code := outcome(t, "observe", "--dry-run")
	if code != exit.Clean || !strings.Contains(stdout, "log on /dev/kmsg") {
		t.Errorf("observe --dry-run: exit code %d: %s", code, stdout)
	}
	saysLockdown(t, "observe --dry-run", stderr)
	_, stderr, code = outcome(t, "observe", "--pid", "1")
	if code != exit.HostLacks {
		t.Errorf("observe --pid: exit code %d, and the log does not know whose pages are dropped", code)
	}
	saysLockdown(t, "observe --pid", stderr)

	o := beginObserving(t, "--fail-on-hit")
	saysLockdown(t, "observe", o.log.String())
	o.expected = o.log.Len()
	runLockedDown(t)
	want := exit.Clean
	if *expectVerdict == string(record.DataLost) {
		o.await(t, func(l observe.Line) bool { return l.Event == "dropped" })
		want = record.DataLost.ExitCode()
	}
	if _, code := o.end(t); code != want {
		t.Errorf("observe --fail-on-hit: exit code %d, want %d; told:\n%s", code, want, o.told())
	}

	stdout, stderr, code = outcome(t, "check", "--format", "json")
	var found check.Document
	if err := json.Unmarshal([]byte(stdout), &found); err != nil {
		t.Fatalf("%v in %q; %s", err, stdout, stderr)
	}
	if code != exit.Clean || found.Can.Observe || !found.Can.RunVMWritev {
		t.Errorf("check: exit code %d, %+v", code, found.Can)
	}
	for _, i := range found.Items {
		switch i.Name {
		case "probes: fentry", "probes: kprobe", "probes: kprobe-multi":
			if said := i.Detail + " (" + i.Remedy; i.State != check.Missing || !strings.HasPrefix(said, sentenceOfLockdown) {
				t.Errorf("check: %+v", i)
			}
		}
	}
}

// raiseLockdown locks the kernel down.
func raiseLockdown(t *testing.T) {
	t.Helper()
	const mountpoint = "/sys/kernel/security"
	level := filepath.Join(mountpoint, "lockdown")
	if _, err := os.Stat(level); errors.Is(err, os.ErrNotExist) {
		if err := unix.Mount("none", mountpoint, "securityfs", 0, ""); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := unix.Unmount(mountpoint, 0); err != nil {
				t.Error(err)
			}
		})
	}
	if err := os.WriteFile(level, []byte("confidentiality"), 0); err != nil {
		t.Fatal(err)
	}
	if got := readFile(t, level); !strings.Contains(got, "[confidentiality]") {
		t.Fatalf("the kernel is at %s", got)
	}
}

// runLockedDown has a run go on without probes, and one that is to have probes not. Where ext4 may have its
// BUG_ON, nobody may look whether it has: the run has to be told that it may take the machine down.
func runLockedDown(t *testing.T) {
	t.Helper()
	_, stderr, code := outcome(t, small("-o", filepath.Join(t.TempDir(), "evidence"))...)
	if *expectVerdict == string(record.DataLost) && (code != exit.HostLacks || !strings.Contains(stderr, "page without buffers could not be read (the kernel is locked down for confidentiality, and lets nobody read /proc/kcore: "+lockdown.Remedy+"); give --allow-crash")) {
		t.Errorf("run: exit code %d: %s", code, stderr)
	}
	stdout, stderr, code := outcome(t, small("--format", "json", "--allow-crash", "-o", filepath.Join(t.TempDir(), "evidence"))...)
	var r record.Record
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatalf("%v in %q; %s", err, stdout, stderr)
	}
	if want := record.Verdict(*expectVerdict); r.Verdict != want || code != want.ExitCode() || r.Channels.Probes.State != record.StateAbsent || !strings.Contains(r.Channels.Probes.Why, sentenceOfLockdown) {
		t.Errorf("run: %s (%s), exit code %d, probes %+v", r.Verdict, r.Reason, code, r.Channels.Probes)
	}
	if strings.Count(stderr, sentenceOfLockdown) != 1 {
		t.Errorf("run said: %s", stderr)
	}
	_, stderr, code = outcome(t, small("--observe", "require", "--allow-crash", "-o", filepath.Join(t.TempDir(), "evidence"))...)
	if code != exit.HostLacks {
		t.Errorf("run --observe require: exit code %d", code)
	}
	saysLockdown(t, "run --observe require", stderr)
}
