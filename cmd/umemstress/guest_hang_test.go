//go:build guest

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/workload/evidence"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// hangDevice is the name of the disk that stops answering.
const hangDevice = "umemstress-hang"

// hungSoon are the settings by which the kernel tells early of a task that waits, and of each; by itself
// it takes two minutes, and stops after ten.
var hungSoon = map[string]string{
	"/proc/sys/kernel/hung_task_timeout_secs": "5",
	"/proc/sys/kernel/hung_task_warnings":     "-1",
}

// hangingDisk is a disk that stops answering when it is told to, with ext4 on it, mounted in a
// directory. Its queue is short and what is free on it lies in pieces, each of which takes a request of
// its own, so that writeback waits for room in the queue with the lock of the page that it writes.
func hangingDisk(t *testing.T) (dir string) {
	t.Helper()
	t.Setenv("DM_DISABLE_UDEV", "1") // the lab's guests have none, and dmsetup does its work then
	base := t.TempDir()
	dir = filepath.Join(base, "mounted")
	t.Cleanup(func() {
		shell(t, `dmsetup resume "$2" || true
			for try in 1 2 3 4 5 6 7 8 9 10; do umount "$1/mounted" && break; sleep 1; done
			losetup --detach "$(cat "$1/upper")"; dmsetup remove --retry "$2"; losetup --detach "$(cat "$1/lower")"`, base, hangDevice)
	})
	shell(t, `set -e
		modprobe -a loop dm-mod
		truncate -s 32M "$1/image"
		losetup --find --show "$1/image" >"$1/lower"
		echo "0 65536 linear $(cat "$1/lower") 0" | dmsetup create "$2"
		losetup --find --show --direct-io=on "/dev/mapper/$2" >"$1/upper"
		upper=$(cat "$1/upper")
		echo 4 >"/sys/block/${upper#/dev/}/queue/nr_requests"
		mkfs.ext4 -q -b 4096 -m 0 "$upper"
		mkdir "$1/mounted"
		mount "$upper" "$1/mounted"
		fallocate --length "$(df --output=avail --block-size=1 "$1/mounted" | tail -n 1)" "$1/mounted/filler"
		for piece in $(seq 0 2 190); do
			fallocate --punch-hole --offset "$((piece * 65536))" --length 65536 "$1/mounted/filler"
		done`, base, hangDevice)
	return dir
}

// A task that hangs in the writeback of the run's file is the run's verdict, and the run ends with it
// instead of waiting as well.
func TestHangIsTold(t *testing.T) {
	if *expectVerdict == string(record.Refused) {
		t.Skip("this kernel pins no page of a file for RDMA, so that the run has nothing to write back")
	}
	dir, into := hangingDisk(t), filepath.Join(t.TempDir(), "evidence")
	for path, value := range hungSoon {
		set(t, path, value)
	}
	cmd := command("run", "--preset", "quick", "--file", filepath.Join(dir, "region"), "--file-size", "4M", "--anon-size", "4M", "--strip", "none",
		"--duration", "4", "--observe", "require", "-o", into)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(endKeepers)
	for began := time.Now(); !inPhase(into, scenario.PhaseWriteAgain); time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			_ = cmd.Process.Kill()
			t.Fatalf("it did not come to write again: %s", &out)
		}
	}
	shell(t, `dmsetup suspend --nolockfs --noflush "$1"`, hangDevice)
	select {
	case <-ended:
	case <-time.After(90 * time.Second):
		_ = cmd.Process.Kill()
		log, _ := os.ReadFile(filepath.Join(into, "kmsg.log"))
		t.Fatalf("it hangs as well: %s%s", &out, log)
	}
	if code := cmd.ProcessState.ExitCode(); code != record.Crashed.ExitCode() || !strings.Contains(out.String(), "the kernel hangs in ") {
		t.Errorf("exit code %d: %s", code, &out)
	}
	r, err := evidence.Load(into)
	if err != nil {
		t.Fatal(err)
	}
	death, ok := r.Blamed()
	if r.Verdict != record.Crashed || !ok || death.Kind != record.DiedHung {
		t.Errorf("%s (%s), of %+v", r.Verdict, r.Reason, death)
	}
	if stdout, stderr, code := here(t, "verdict", into); code != record.Crashed.ExitCode() {
		t.Errorf("judged again, it is %d: %s%s", code, stdout, stderr)
	}
}

// set changes a setting for the time of the test.
func set(t *testing.T, path, value string) {
	t.Helper()
	was, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(value), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(path, bytes.TrimSpace(was), 0o644); err != nil {
			t.Error(err)
		}
	})
}

// inPhase says whether the run with that evidence is in the phase.
func inPhase(dir, phase string) bool {
	r, err := evidence.Load(dir)
	return err == nil && len(r.Phases) > 0 && r.Phases[len(r.Phases)-1].Name == phase
}

// endKeepers ends the children that keep descriptors on a machine that was to be rebooted.
func endKeepers() {
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range lines {
		line, _ := os.ReadFile(path)
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil && bytes.HasSuffix(line, []byte("\x00keeper\x00")) {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
}
