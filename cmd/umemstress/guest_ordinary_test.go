//go:build guest

package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"umemstress/probes/observe"
	"umemstress/rdma"
)

var ordinaryFor = flag.Duration("ordinary", 2*time.Minute, "for how long TestOrdinaryWork works")

// A worker does ordinary work in a cgroup whose memory is short.
type worker struct {
	group  *os.File
	device string // RDMA
}

// newWorker makes the cgroup. Its programs have as much of files alone.
func newWorker(t *testing.T) worker {
	t.Helper()
	const group = "/sys/fs/cgroup/ordinary"
	shell(t, `echo +memory >/sys/fs/cgroup/cgroup.subtree_control; mkdir "$1"; echo 24M >"$1/memory.max"`, group)
	t.Cleanup(func() { shell(t, `rmdir "$1"; echo -memory >/sys/fs/cgroup/cgroup.subtree_control`, group) })
	directory, err := os.Open(group)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { directory.Close() })
	device, err := rdma.FindDevice("/sys", "")
	if err != nil {
		t.Fatal(err)
	}
	return worker{directory, device.Name}
}

// reclaims is how often the group had to give memory back.
func (w worker) reclaims(t *testing.T) (n int) {
	t.Helper()
	for line := range strings.Lines(readFile(t, filepath.Join(w.group.Name(), "memory.events"))) {
		if words := strings.Fields(line); words[0] == "max" {
			n, _ = strconv.Atoi(words[1]) // the kernel writes numbers
		}
	}
	return n
}

func (w worker) start(t *testing.T, name string, args ...string) (wait func()) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(w.group.Fd())}
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s %q: %v: %s", name, args, err, out.String())
		}
	}
}

// A place is where files are; of each, the flags of fio for one of its jobs.
type place struct {
	name string
	file func(job int) string
}

// files writes, reads and verifies in three ways at once: through the page cache, through a
// mapping, and directly, from and into anonymous memory.
func (w worker) files(t *testing.T, p place) {
	t.Helper()
	ways := [][]string{
		{"--name=cached", "--ioengine=psync"},
		{"--name=mapped", "--ioengine=mmap"},
		{"--name=direct", "--ioengine=libaio", "--iodepth=8", "--direct=1"},
	}
	size := "8m"
	switch p.name {
	case "tmpfs": // it does nothing directly before 6.6, and cannot give back what it has
		ways, size = ways[:2], "2m"
	case "block": // fio 3.33 does not find again what it writes through a mapping of one
		ways = slices.Delete(ways, 1, 2)
	}
	args := []string{"--bs=16k", "--size=" + size, "--rw=randwrite", "--verify=crc32c", "--verify_fatal=1"}
	for job, way := range ways {
		args = append(append(args, way...), p.file(job))
	}
	w.start(t, "fio", args...)()
}

// writes is RDMA between anonymous memory.
func (w worker) writes(t *testing.T) {
	t.Helper()
	args := []string{"-d", w.device, "-F", "-s", "65536", "-D", "3"}
	wait := w.start(t, "ib_write_bw", args...)
	awaitListener(t)
	w.start(t, "ib_write_bw", append(args, "127.0.0.1")...)()
	wait()
}

// places are a directory of each file system, and block devices.
func places(t *testing.T) (all []place) {
	t.Helper()
	dir := t.TempDir()
	directory := func(name string) (path string) {
		path = filepath.Join(dir, name)
		all = append(all, place{name, func(int) string { return "--directory=" + path }})
		return path
	}
	mount := func(script string, args ...string) {
		shell(t, script, args...)
		t.Cleanup(func() { shell(t, `umount "$1"`, args[0]) })
	}
	mount(`mkdir "$1"; mount -t tmpfs -o size=8m none "$1"`, directory("tmpfs"))
	for name, mkfs := range map[string]string{"ext4": "mkfs.ext4 -q -F", "xfs": "mkfs.xfs -q -f", "btrfs": "mkfs.btrfs -q -f"} {
		device := loopDevice(t, filepath.Join(dir, name+".image"), 512<<20)
		mount(`mkdir "$1"; $2 "$3"; mount "$3" "$1"`, directory(name), mkfs, device)
	}
	var devices []string // for each job, since who opens one first empties its cache
	for job := range 2 {
		devices = append(devices, loopDevice(t, filepath.Join(dir, fmt.Sprintf("block%d.image", job)), 8<<20))
	}
	return append(all, place{"block", func(job int) string { return "--filename=" + devices[job] }})
}

func loopDevice(t *testing.T, image string, bytes int64) string {
	t.Helper()
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, bytes); err != nil {
		t.Fatal(err)
	}
	device, err := exec.Command("losetup", "--find", "--show", image).Output()
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimSpace(string(device))
	t.Cleanup(func() { shell(t, `losetup --detach "$1"`, name) })
	return name
}

// Ordinary work under memory pressure is nothing to be alarmed by, however long it takes, and
// takes nothing of the observer but time.
func TestOrdinaryWork(t *testing.T) {
	w, all := newWorker(t), places(t)
	o := beginObserving(t)
	g := newGauge(t, o)
	rounds := 0
	for begin := time.Now(); rounds == 0 || time.Since(begin) < *ordinaryFor; rounds++ {
		for _, p := range all {
			w.files(t, p)
			g.look(t)
		}
		w.writes(t)
		g.look(t)
		if t.Failed() {
			break
		}
	}
	t.Logf("%d rounds, %d times short of memory", rounds, w.reclaims(t))
	if w.reclaims(t) == 0 {
		t.Error("memory was never short")
	}
	time.Sleep(time.Second) // what is told late
	for _, alarm := range []string{"dirtied", "dropped", "stripped", "pinned", "refused", observe.Lost} {
		if l, told := o.find(func(l observe.Line) bool { return l.Event == alarm }); told {
			t.Errorf("false alarm: %s", l.Text())
		}
	}
	// It would have told.
	stdout, stderr, _ := outcome(t, small("--scenario", "dio/ext4/pageout/none", "--observe", "off", "--allow-crash", "-o", filepath.Join(t.TempDir(), "evidence"))...)
	l := o.await(t, func(l observe.Line) bool { return l.Event == "dirtied" })
	if l.Holder != "dio" || l.Filesystem != "ext4" || !l.Unannounced {
		t.Errorf("%+v: %s%s", l, stdout, stderr)
	}
	g.flat(t)
	if summary, _ := o.end(t); summary.Lost.Any() || summary.Total().Dirtied != summary.Total().Unannounced {
		t.Errorf("%+v", summary)
	}
	if left := kprobeEvents(t, "umemstress"); len(left) != 0 {
		t.Errorf("left %q", left)
	}
}

// A gauge measures what an observer takes of memory.
type gauge struct {
	pid      int
	resident []uint64 // bytes, in the order of looks
	maps     uint64   // bytes of BPF maps, at the first
}

// maxResident is what the observer promises to do with.
const maxResident = 64 << 20

func newGauge(t *testing.T, o *observation) *gauge {
	t.Helper()
	g := &gauge{pid: o.cmd.Process.Pid}
	g.maps = g.mapBytes(t)
	if g.maps == 0 {
		t.Fatal("the observer has no BPF maps")
	}
	g.look(t)
	return g
}

func (g *gauge) look(t *testing.T) {
	t.Helper()
	g.resident = append(g.resident, field(t, fmt.Sprintf("/proc/%d/status", g.pid), "VmRSS:")<<10)
}

// mapBytes is what the kernel accounts for the observer's maps.
func (g *gauge) mapBytes(t *testing.T) (sum uint64) {
	t.Helper()
	all, err := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", g.pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all {
		if text, err := os.ReadFile(path); err == nil && strings.Contains(string(text), "map_type:") { // an error: it is closed
			sum += field(t, path, "memlock:")
		}
	}
	return sum
}

// field is the number behind the name in a file of procfs.
func field(t *testing.T, path, name string) uint64 {
	t.Helper()
	for line := range strings.Lines(readFile(t, path)) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == name {
			n, err := strconv.ParseUint(words[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("%s has no %s", path, name)
	return 0
}

// flat has the observer take no more in the second half of its time than in the first, but for
// what Go's collector leaves for later, and never more than it promises.
func (g *gauge) flat(t *testing.T) {
	t.Helper()
	const later = 8 << 20
	g.look(t)
	half := len(g.resident) / 2
	first, second := slices.Max(g.resident[:half]), slices.Max(g.resident[half:])
	peak := field(t, fmt.Sprintf("/proc/%d/status", g.pid), "VmHWM:") << 10
	maps := g.mapBytes(t)
	t.Logf("resident: at most %d KiB, then %d KiB, peak %d KiB; maps: %d KiB", first>>10, second>>10, peak>>10, maps>>10)
	if second > first+later || peak > maxResident {
		t.Errorf("resident: %d bytes at most in the first half, %d in the second, and %d at any time", first, second, peak)
	}
	if maps != g.maps {
		t.Errorf("its maps had %d bytes and have %d", g.maps, maps)
	}
}
