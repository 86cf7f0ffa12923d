package kmsg

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
)

// deathsIn are those that a log tells of.
func deathsIn(log string) *Deaths {
	d := &Deaths{}
	for line := range strings.Lines(log) {
		d.Add(Classify(line))
	}
	return d
}

// What kernels said when they died of it, as they said it.
func TestDeaths(t *testing.T) {
	for name, want := range map[string]Death{
		"btrfs-7.2": {Kind: "oops", Said: "BUG: kernel NULL pointer dereference, address: 0000000000000000", Comm: "dio3", PID: 157, Place: "_raw_spin_lock_irqsave"},
		"ext4-5.10": {Kind: "oops", Said: "kernel BUG at fs/ext4/inode.c:2662", Comm: "umemstress", PID: 99, Place: "mpage_prepare_extent_to_map", Panicked: true},
		// It lists its modules before it says whose thread it is; its end is missing.
		"ext4-3.10": {Kind: "oops", Said: "kernel BUG at fs/ext4/inode.c:2297", Comm: "node_runner_w8", PID: 13195, Place: "mpage_prepare_extent_to_map"},
		// A warning that was to be the machine's death.
		"ext4-5.10-panic-on-warn": {Kind: "panic", Comm: "umemstress", Place: "ext4_set_page_dirty", Panicked: true},
		"ext4-7.2-panic-on-warn":  {Kind: "panic", Comm: "um", Place: "ext4_dirty_folio", Panicked: true},
		// Nobody asked for it: the flusher came first.
		"ext4-5.10-flusher": {Kind: "oops", Said: "kernel BUG at fs/ext4/inode.c:2662", Work: "writeback wb_workfn (flush-7:0)", Place: "mpage_prepare_extent_to_map"},
	} {
		log, err := os.ReadFile("testdata/oops/" + name + ".txt")
		if err != nil {
			t.Error(err)
			continue
		}
		d := deathsIn(string(log))
		if d.Count() != 1 || len(d.All) != 1 || d.Told() == (name == "ext4-3.10") {
			t.Errorf("%s: %d deaths, told %v: %+v", name, d.Count(), d.Told(), d.All)
			continue
		}
		got := d.All[0]
		if got.Kind != want.Kind || got.Place != want.Place || got.Panicked != want.Panicked || got.Work != want.Work ||
			want.Said != "" && got.Said != want.Said || want.PID != 0 && got.PID != want.PID || want.Comm != "" && !strings.HasPrefix(got.Comm, want.Comm) {
			t.Errorf("%s: %+v\nwant %+v", name, got, want)
		}
		if len(got.Calls) < 3 {
			t.Errorf("%s: calls %q", name, got.Calls)
		}
	}
}

// A warning has a trace like an oops, and nobody dies of it.
func TestWarningIsNoDeath(t *testing.T) {
	d := deathsIn(`[    9.168399] ------------[ cut here ]------------
[    9.168427] WARNING: CPU: 1 PID: 103 at fs/ext4/inode.c:3707 ext4_set_page_dirty+0x48/0x50 [ext4]
[    9.168447] CPU: 1 PID: 103 Comm: umemstress Not tainted 5.10.262-bug #1
[    9.169171] RIP: 0010:ext4_set_page_dirty+0x48/0x50 [ext4]
[    9.170000] ---[ end trace 0000000000000000 ]---
`)
	if d.Count() != 0 || d.Told() || len(d.All) != 0 {
		t.Errorf("%+v", d)
	}
}

// The kernels of the lab print this of a task that waits for a page which a dead thread has
// locked. It is not dead, and who asks has to say what it is to them.
func TestHung(t *testing.T) {
	const hung = `[  242.661348] INFO: task sync:107 blocked for more than 120 seconds.
[  242.661480]       Tainted: G      D W         5.10.262-bug #1
[  242.661614] "echo 0 > /proc/sys/kernel/hung_task_timeout_secs" disables this message.
[  242.661726] task:sync            state:D stack:    0 pid:  107 ppid:     1 flags:0x00004000
[  242.661884] Call Trace:
[  242.662042]  __schedule+0x282/0x880
[  242.662173]  ? wait_on_page_bit_common+0x1/0x2
[  242.662173]  io_schedule+0x46/0x70
[  242.662173]  __lock_page+0x111/0x240
[  242.662173]  mpage_prepare_extent_to_map+0x25d/0x290 [ext4]
[  242.662300] RIP: 0033:0x7f0c733a9000
`
	want := Death{Kind: "hung", Said: "INFO: task sync:107 blocked for more than 120 seconds.", Comm: "sync", PID: 107,
		Calls: []string{"__schedule", "io_schedule", "__lock_page", "mpage_prepare_extent_to_map"}}
	d := deathsIn(hung)
	if d.Count() != 0 || d.Told() || !d.Hangs() || len(d.All) != 1 || !reflect.DeepEqual(d.All[0], want) {
		t.Errorf("%+v, %v, %v", d.All, d.Told(), d.Hangs())
	}
	if deathsIn("[    1.0] kernel BUG at a.c:1!\n[    1.0] invalid opcode: 0000 [#1] SMP NOPTI\n").Hangs() {
		t.Error("what is dead hangs")
	}
	d = deathsIn(hung + "[  242.7] Kernel panic - not syncing: hung_task: blocked tasks\n")
	if len(d.All) != 1 || !d.All[0].Panicked {
		t.Errorf("with a panic: %+v", d.All)
	}
}

// Each death has its own place, and what comes after many changes none.
func TestManyDeaths(t *testing.T) {
	var log strings.Builder
	for i := range maxDeaths + 3 {
		fmt.Fprintf(&log, "[    1.0] kernel BUG at a.c:%d!\n[    1.0] invalid opcode: 0000 [#%d] SMP NOPTI\n[    1.0] CPU: 0 PID: %d Comm: t%d Not tainted\n[    1.0] RIP: 0010:f%d+0x1/0x2\n[    1.0] ---[ end trace 0 ]---\n", i, i+1, i+100, i, i)
	}
	log.WriteString("[    2.0] Kernel panic - not syncing: sysrq triggered crash\n")
	d := deathsIn(log.String())
	if d.Count() != maxDeaths+4 || len(d.All) != maxDeaths {
		t.Fatalf("%d, %d", d.Count(), len(d.All))
	}
	for i, death := range d.All {
		if want := (Death{Kind: "oops", Said: fmt.Sprintf("kernel BUG at a.c:%d", i), Comm: fmt.Sprintf("t%d", i), PID: uint64(i + 100), Place: fmt.Sprintf("f%d", i)}); !reflect.DeepEqual(death, want) {
			t.Errorf("%+v, want %+v", death, want)
		}
	}
}

// The words of a panic tell of what it comes, on every kernel that was looked at.
func TestCauseOf(t *testing.T) {
	for words, want := range map[string]Cause{
		"Fatal exception":                                    OfDeath,
		"Fatal exception in interrupt":                       OfDeath,
		"hung_task: blocked tasks":                           OfDeath,
		"Attempted to kill init! exitcode=0x0000000b":        OfDeath,
		"Aiee, killing interrupt handler!":                   OfDeath,
		"panic_on_warn set ...":                              OfWarning,
		"kernel: panic_on_warn set ...":                      OfWarning,
		"VFS: Unable to mount root fs on unknown-block(0,0)": OfItself,
		"EXT4-fs (device loop0): panic forced after error":   OfItself,
		"Out of memory: compulsory panic_on_oom is enabled":  OfItself,
		"": OfItself,
	} {
		if got := CauseOf("Kernel panic - not syncing: " + words); got != want {
			t.Errorf("%s: %d, want %d", words, got, want)
		}
	}
}
