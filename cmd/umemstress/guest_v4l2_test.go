//go:build guest

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/probes/event"
	"umemstress/probes/observe"
	"umemstress/workload/record"
)

// modulesOfV4L2 are vivid and what it brings along.
var modulesOfV4L2 = []string{
	"vivid", "v4l2_tpg", "v4l2_dv_timings", "videobuf2_dma_contig", "videobuf2_vmalloc", "videobuf2_memops",
	"videobuf2_v4l2", "videobuf2_common", "videodev", "mc", "cec", "rc_core",
}

// The buffers of a capture device are pinned as an RDMA region is, so that each kernel does to them
// what it does to that; the channels agree to the page, and the modules go with the run.
func TestV4L2(t *testing.T) {
	noModules(t, modulesOfV4L2, nothing)
	dir := filepath.Join(t.TempDir(), "evidence")
	r, code := ran(t, "--holder", "v4l2", "--observe", "require", "-o", dir)
	want := record.Verdict(*expectVerdict)
	if r.Verdict != want || code != exit.Code(verdictStatus(want)) || len(r.Disagreements) > 0 || r.CleanupError != "" {
		t.Errorf("%s (%s), exit code %d; %q; %s; want %s", r.Verdict, r.Reason, code, r.Disagreements, r.CleanupError, want)
	}
	noModules(t, modulesOfV4L2, nothing)
	if want == record.Refused {
		return
	}
	wantAgreed(t, r)
	events := readFile(t, filepath.Join(dir, "events.jsonl"))
	for _, want := range []string{`"holder":"v4l2"`, "__vb2_queue_free+0x", `"comm":"` + r.Process.Comm + `"`} {
		if !strings.Contains(events, want) {
			t.Errorf("no %q in the events: %s", want, events)
		}
	}
}

// What arrives in pages that a hole has taken from the file is known all the same.
func TestV4L2Detached(t *testing.T) {
	r, _ := ran(t, "--scenario", "v4l2/ext4/none/punch", "-o", filepath.Join(t.TempDir(), "evidence"))
	want := record.DataLost
	if *expectVerdict == string(record.Refused) {
		want = record.Refused
	}
	if r.Verdict != want || len(r.Disagreements) > 0 || want == record.DataLost && r.Channels.Cache.StalePages != 512 {
		t.Errorf("%s (%s), %q, %+v; want %s", r.Verdict, r.Reason, r.Disagreements, r.Channels.Cache, want)
	}
}

// A run that is killed leaves no module, and the next one works, also while they are being unloaded.
func TestV4L2Killed(t *testing.T) {
	phase := "phase write-again"
	if *expectVerdict == string(record.Refused) {
		phase = "phase pin"
	}
	killedIn(t, phase, "--holder", "v4l2")
	noModules(t, modulesOfV4L2, nothing)
	killedIn(t, "phase pin", "--holder", "v4l2")
	if r, _ := ran(t, "--holder", "v4l2", "--observe", "off", "-o", filepath.Join(t.TempDir(), "evidence")); r.Verdict != record.Verdict(*expectVerdict) {
		t.Errorf("the next run: %s (%s), want %s", r.Verdict, r.Reason, *expectVerdict)
	}
	noModules(t, modulesOfV4L2, nothing)
}

// What cleans up after a run that was killed spares a module that somebody else has loaded since.
func TestV4L2KilledSparesOthers(t *testing.T) {
	phase := "phase write-again"
	if *expectVerdict == string(record.Refused) {
		phase = "phase pin"
	}
	run := begin(t, phase, small("--holder", "v4l2", "-o", filepath.Join(t.TempDir(), "evidence"))...)
	run.signal(t, syscall.SIGKILL)
	noModules(t, []string{"vivid"}, nothing)
	for until := time.Now().Add(10 * time.Second); exec.Command("modprobe", "vivid").Run() != nil; { // what it needs may go meanwhile
		if time.Now().After(until) {
			t.Fatal("vivid is not loaded again")
		}
	}
	t.Cleanup(func() { noModules(t, modulesOfV4L2, removeV4L2) })
	run.end(t, time.Minute)
	noUnloading(t)
	if _, err := os.Stat("/sys/module/vivid"); err != nil {
		t.Errorf("somebody else's module was unloaded: %v", err)
	}
}

// Who observes a machine with V4L2 is told of its buffers, and whose they are; of one that the kernel
// refuses, with the file that it would have been in.
func TestV4L2Observed(t *testing.T) {
	haveModules(t, modulesOfV4L2)
	ends := record.Verdict(*expectVerdict)
	if ends != record.Refused {
		if line := observed(t, "v4l2", true, ends); line.Actor == nil || line.Actor.PID != line.Owner.PID {
			t.Errorf("%+v", line)
		}
		return
	}
	observedRefused(t, "v4l2")
}

// The module whose function pins is unloaded and loaded again while it is observed, as nothing keeps it there: nothing goes unseen.
func TestV4L2ObservedReloaded(t *testing.T) {
	haveModules(t, modulesOfV4L2)
	o := beginObserving(t, "--fs", "ext4")
	removeV4L2()
	if _, err := os.Stat("/sys/module/videobuf2_memops"); err == nil {
		t.Fatal("videobuf2_memops is still loaded")
	}
	r, _ := ran(t, "--holder", "v4l2", "--observe", "off", "-o", filepath.Join(t.TempDir(), "evidence"))
	if r.Verdict != record.Verdict(*expectVerdict) {
		t.Errorf("%s (%s)", r.Verdict, r.Reason)
	}
	kind := event.Pinned
	if r.Verdict == record.Refused {
		kind = event.Refused
	}
	o.await(t, func(l observe.Line) bool { return l.Event == string(kind) && l.Holder == "v4l2" && l.Owner != nil })
	if summary, code := o.end(t); code != exit.Clean || summary.Lost.Any() {
		t.Errorf("exit code %d, %+v", code, summary)
	}
}

// With a vivid of somebody else's, which has two devices: the first captures into memory in one
// piece, the second is taken; it stays loaded. What cannot be used is told in a sentence.
func TestV4L2Given(t *testing.T) {
	load(t, "n_devs=2", "node_types=0x1,0x1", "allocators=1,0")
	run := func(flags ...string) (output string, code int) {
		stdout, stderr, code := outcome(t, small(append([]string{"--holder", "v4l2", "--observe", "off", "-o", filepath.Join(t.TempDir(), "evidence")}, flags...)...)...)
		return stdout + stderr, code
	}
	want := exit.Code(verdictStatus(record.Verdict(*expectVerdict)))
	for _, flags := range [][]string{nil, {"--v4l2-dev", "/dev/video1"}} {
		if output, code := run(flags...); code != want || !strings.Contains(output, "video1 (vivid), through USERPTR") {
			t.Errorf("%q: exit code %d, want %d: %s", flags, code, want, output)
		}
	}
	if _, err := os.Stat("/sys/module/vivid"); err != nil {
		t.Errorf("somebody else's module was unloaded: %v", err)
	}
	wrong := func(code int, sentence string, flags ...string) {
		t.Helper()
		if output, got := run(flags...); got != code || !strings.Contains(output, sentence) || strings.Count(output, "\n") != 1 {
			t.Errorf("%q: exit code %d, want %d and a line with %q: %s", flags, got, code, sentence, output)
		}
	}
	wrong(exit.Usage, "--v4l2-dev /dev/video0: it takes no memory of a program as a buffer (V4L2_MEMORY_USERPTR)", "--v4l2-dev", "/dev/video0")
	wrong(exit.Usage, "--v4l2-dev /dev/video1: 30 of its largest pictures cover 497664000 bytes", "--v4l2-dev", "/dev/video1", "--file-size", "512M")

	reader := exec.Command("dd", "if=/dev/video1", "of=/dev/null", "bs=64k")
	if err := reader.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second) // until it captures
	wrong(exit.HostLacks, "--v4l2-dev /dev/video1: somebody else captures from it", "--v4l2-dev", "/dev/video1")
	wrong(exit.HostLacks, "/dev/video1: somebody else captures from it")
	_ = reader.Process.Kill()
	_ = reader.Wait() // of the signal

	removeV4L2()
	load(t, "n_devs=1", "node_types=0x1", "allocators=1")
	wrong(exit.HostLacks, "rmmod vivid")
}

// A device with small pictures is taken for as much as they cover where nobody says how much.
func TestV4L2Fits(t *testing.T) {
	load(t, "n_devs=1", "node_types=0x1", "allocators=0", "num_inputs=1", "input_types=0x1", "ccs_cap_mode=0") // a television set's
	stdout, stderr, code := outcome(t, "run", "--holder", "v4l2", "--v4l2-dev", "/dev/video0", "--observe", "off", "--format", "json", "-o", filepath.Join(t.TempDir(), "evidence"))
	var r record.Record
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatalf("%v, exit code %d in %q; %s", err, code, stdout, stderr)
	}
	bytes := r.Regions[0].Bytes
	if want := record.Verdict(*expectVerdict); r.Verdict != want || bytes == 0 || bytes >= 64<<20 || r.File.Bytes != int64(bytes) {
		t.Errorf("%s (%s), want %s; %d bytes of a file of %d", r.Verdict, r.Reason, want, bytes, r.File.Bytes)
	}
	if want := fmt.Sprintf("the holder v4l2 takes at most %d MiB here: without --file-size, the file's region has as many, in place of 64 MiB", bytes>>20); !strings.Contains(stderr, want) {
		t.Errorf("no %q: %s", want, stderr)
	}
	stdout, stderr, code = outcome(t, "run", "--holder", "v4l2", "--v4l2-dev", "/dev/video0", "--observe", "off", "--file-size", "64M", "-o", filepath.Join(t.TempDir(), "evidence"))
	if code != exit.Usage || !strings.Contains(stderr, "30 of its largest pictures cover") {
		t.Errorf("exit code %d: %s%s", code, stdout, stderr)
	}
}

// A module that somebody else has come to use stays, and the run says so.
func TestV4L2InUse(t *testing.T) {
	user := exec.Command("sh", "-c", "until [ -e /dev/video0 ]; do sleep 0.05; done; exec sleep 60 </dev/video0")
	if err := user.Start(); err != nil {
		t.Fatal(err)
	}
	r, _ := ran(t, "--holder", "v4l2", "--observe", "off", "-o", filepath.Join(t.TempDir(), "evidence"))
	if r.Verdict != record.Verdict(*expectVerdict) || !strings.Contains(r.CleanupError, "the module vivid stays loaded") {
		t.Errorf("%s (%s): %q", r.Verdict, r.Reason, r.CleanupError)
	}
	_ = user.Process.Kill()
	_ = user.Wait() // of the signal
	noModules(t, modulesOfV4L2, removeV4L2)
}

// load loads vivid with parameters for the time of a test.
func load(t *testing.T, parameters ...string) {
	t.Helper()
	if out, err := exec.Command("modprobe", append([]string{"vivid"}, parameters...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() { noModules(t, modulesOfV4L2, removeV4L2) })
}

func removeV4L2() {
	for _, name := range modulesOfV4L2 {
		_ = exec.Command("modprobe", "-qr", name).Run() // what it did is looked at
	}
}
