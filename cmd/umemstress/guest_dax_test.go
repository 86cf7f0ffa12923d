//go:build guest

package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/workload/record"
)

// pmemDevice is the guest's, which 'lab exec --pmem' gives it.
const pmemDevice = "/dev/pmem0"

// onPmem are the flags of a run without a page cache.
func onPmem(t *testing.T, scenario string, more ...string) []string {
	t.Helper()
	if _, err := os.Stat(pmemDevice); err != nil {
		t.Fatalf("%v; give the guest --pmem 128", err)
	}
	return append([]string{"--scenario", scenario, "--pmem-dev", pmemDevice, "-o", filepath.Join(t.TempDir(), "evidence")}, more...)
}

// Nobody may pin pages of persistent memory for long, on any kernel, and the errno is another than that
// of a file which has a page cache.
func TestDAXRefused(t *testing.T) {
	for holder, says := range map[string]string{"rdma": "EOPNOTSUPP", "v4l2": "operation not supported", "xdp": "operation not supported"} {
		r, code := ran(t, onPmem(t, holder+"/ext4-dax/none/none")...)
		if r.Verdict != record.Refused || code != exit.Clean || !strings.Contains(r.Reason, says) || r.CleanupError != "" {
			t.Errorf("%s: %s (%s), exit code %d, %s", holder, r.Verdict, r.Reason, code, r.CleanupError)
		}
	}
}

// Who pins them for the time of a call may, and what arrives is on the device. The channels say of
// themselves what is not there.
func TestDAXGranted(t *testing.T) {
	r, code := ran(t, onPmem(t, "dio/ext4-dax/none/none", "--observe", "require")...)
	c := r.Channels
	if r.Verdict != record.Clean || code != exit.Clean || c.Disk.CheckedPages != 512 || c.Disk.StalePages != 0 || r.Traffic.Held == 0 {
		t.Errorf("%s (%s), exit code %d, %+v, %+v", r.Verdict, r.Reason, code, c.Disk, r.Traffic)
	}
	if c.Cache.State != record.StateAbsent || c.Folios.State != record.StateAbsent || c.Cache.Why == "" || !strings.Contains(c.Probes.Why, "DAX") || c.Probes.BufferlessPages != 0 {
		t.Errorf("%+v, %+v, %+v", c.Cache, c.Folios, c.Probes)
	}
}

// Whoever takes blocks from the file waits until they are let go of, and the run does not wait for him.
func TestDAXMutationWaits(t *testing.T) {
	for _, scenario := range []string{"dio/ext4-dax/none/punch", "dio/ext4-dax/none/truncate", "dio/ext4-dax/none/zero-range", "vmci/ext4-dax/none/punch", "vmwritev/xfs-dax/none/punch"} {
		r, code := ran(t, onPmem(t, scenario, "--observe", "off")...)
		mutated := r.Phases[min(5, len(r.Phases)-1)]
		t.Logf("%s: %.1f s, unwoken: %v", scenario, mutated.WaitedSeconds, mutated.Unwoken)
		if r.Verdict != record.Clean || code != exit.Clean || mutated.Outcome != record.OutcomeWaits || mutated.WaitedSeconds < mutated.Seconds ||
			r.Channels.Disk.CheckedPages != 512 || !strings.Contains(r.Reason, "waited for the holder") {
			t.Errorf("%s: %s (%s), exit code %d; %+v, %+v", scenario, r.Verdict, r.Reason, code, mutated, r.Channels.Disk)
		}
	}
}

// XFS shares blocks of files that it maps directly where the kernel has both: who takes a clone waits, and gets what has arrived
// meanwhile. 5.10 mounts no XFS with reflink so, and a run there makes one without.
func TestDAXCloneWaits(t *testing.T) {
	var host unix.Utsname
	if err := unix.Uname(&host); err != nil {
		t.Fatal(err)
	}
	flags := onPmem(t, "vmwritev/xfs-dax/none/reflink", "--observe", "off")
	if release := unix.ByteSliceToString(host.Release[:]); strings.HasPrefix(release, "5.") {
		if stdout, stderr, code := outcome(t, small(flags...)...); code != exit.HostLacks || !strings.Contains(stdout+stderr, "FICLONE") {
			t.Errorf("%s: exit code %d: %s%s", release, code, stdout, stderr)
		}
		return
	}
	r, code := ran(t, flags...)
	mutated := r.Phases[min(5, len(r.Phases)-1)]
	if r.Verdict != record.Clean || code != exit.Clean || mutated.Outcome != record.OutcomeWaits || mutated.Unwoken ||
		r.Channels.Clone.CheckedPages != 512 || r.Channels.Clone.ChangedPages != 0 || r.Channels.Disk.CheckedPages != 512 {
		t.Errorf("%s (%s), exit code %d; %+v, %+v, %+v", r.Verdict, r.Reason, code, mutated, r.Channels.Clone, r.Channels.Disk)
	}
}

// A run that ends while a mutation waits leaves nothing that waits, and the next one has the device.
func TestDAXEndsWhileWaiting(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
		run := begin(t, "phase mutate", small(onPmem(t, "dio/ext4-dax/none/punch")...)...)
		time.Sleep(500 * time.Millisecond) // it waits for two seconds at least
		run.signal(t, signal)
		run.end(t, 20*time.Second)
		awaitFree(t)
		if r, code := ran(t, onPmem(t, "vmwritev/ext4-dax/none/none", "--observe", "off")...); r.Verdict != record.Clean || code != exit.Clean {
			t.Errorf("after %v: %s (%s), exit code %d", signal, r.Verdict, r.Reason, code)
		}
	}
}

// awaitFree waits until nobody has the device: what holds the reads of a killed run is removed after it.
func awaitFree(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		fd, err := unix.Open(pmemDevice, unix.O_RDONLY|unix.O_EXCL|unix.O_CLOEXEC, 0)
		if err == nil {
			unix.Close(fd)
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the device is not free: %v", err)
		}
	}
}

// What somebody has on the device is not overwritten, nor is a device that is in use.
func TestDAXSparesOthers(t *testing.T) {
	run := func(code int, sentence string) {
		t.Helper()
		stdout, stderr, got := outcome(t, small(onPmem(t, "vmwritev/ext4-dax/none/none", "--observe", "off")...)...)
		if output := stdout + stderr; got != code || !strings.Contains(output, sentence) {
			t.Errorf("exit code %d, want %d and %q: %s", got, code, sentence, output)
		}
	}
	device, err := os.OpenFile(pmemDevice, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	head := make([]byte, 1<<20)
	wipe := func(with byte) {
		t.Helper()
		head[0] = with
		if _, err := device.WriteAt(head, 0); err != nil {
			t.Fatal(err)
		}
		if err := device.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	wipe(1)
	run(exit.Usage, "--pmem-dev "+pmemDevice+": it is not empty, and a run would overwrite it")
	is := make([]byte, 1)
	if _, err := device.ReadAt(is, 0); err != nil || is[0] != 1 {
		t.Errorf("the device has %d where it had 1, %v", is[0], err)
	}
	wipe(0)
	end := make([]byte, 1<<20)
	size, err := device.Seek(0, 2)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := device.WriteAt(end, size-int64(len(end))); err != nil {
		t.Fatal(err)
	}
	taken, err := unix.Open(pmemDevice, unix.O_RDONLY|unix.O_EXCL|unix.O_CLOEXEC, 0) // as a mount does
	if err != nil {
		t.Fatal(err)
	}
	run(exit.Usage, "it is in use")
	unix.Close(taken)
	if err := unix.Flock(int(device.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	run(exit.Usage, "another run has it")
	if err := unix.Flock(int(device.Fd()), unix.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	run(exit.Clean, "CLEAN")
}
