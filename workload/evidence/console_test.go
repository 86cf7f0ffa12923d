package evidence

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"umemstress/workload/record"
)

// diedInSettle is evidence of a run whose machine died in msync.
func diedInSettle(t *testing.T) string {
	t.Helper()
	dir := recorded(t)
	change(t, dir, func(r *record.Record) {
		r.Verdict, r.Reason, r.Settled = "", "", nil
		r.Phases = r.Phases[:len(r.Phases)-1]
		r.Phases[len(r.Phases)-1].Outcome = record.OutcomeRunning
		r.Channels.Disk = record.DiskChannel{State: record.StateAbsent}
		r.Process = record.Process{PID: 90, Comm: "umemstress"}
		r.Facts.Deadly = []string{"mpage_prepare_extent_to_map"}
	})
	return dir
}

const bugInMsync = `[    9.667825] kernel BUG at fs/ext4/inode.c:2662!
[    9.668350] invalid opcode: 0000 [#1] SMP NOPTI
[    9.668517] CPU: 0 PID: 99 Comm: umemstress Tainted: G        W         5.10.262-bug #1
[    9.669543] RIP: 0010:mpage_prepare_extent_to_map+0x267/0x290 [ext4]
[    9.671242] Call Trace:
[    9.671362]  ext4_writepages+0x263/0x11c0 [ext4]
[    9.675141] RIP: 0033:0x40d00e
[    9.679357] Kernel panic - not syncing: Fatal exception
`

// What outlived the machine tells what it died of, whatever it is called: the guest's console,
// or what a person put there.
func TestConsoles(t *testing.T) {
	for _, name := range []string{"serial.log", "vmcore-dmesg.txt", "dmesg.202611281200", kmsgFile} {
		dir := diedInSettle(t)
		before, _ := os.ReadFile(filepath.Join(dir, name)) // kmsg.log has lines already
		write(t, filepath.Join(dir, name), string(before)+strings.ReplaceAll(bugInMsync, "\n", "\r\n"))
		r, err := again(t, dir)
		if err != nil {
			t.Fatal(err)
		}
		c := r.Channels.Console
		if r.Verdict != record.Crashed || !strings.Contains(r.Reason, "the machine died in a thread of this run: kernel BUG at fs/ext4/inode.c:2662, in mpage_prepare_extent_to_map") {
			t.Errorf("%s: %s (%s)", name, r.Verdict, r.Reason)
		}
		if c.State != record.StateOK || !slices.Equal(c.Files, []string{name}) || len(c.Deaths) != 1 || !c.Deaths[0].Panicked {
			t.Errorf("%s: %+v", name, c)
		}
		// Saved, it is judged so without the log.
		if err := SaveJudged(dir, r); err != nil {
			t.Fatal(err)
		}
		if name != kmsgFile {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		if r, err := again(t, dir); err != nil || r.Verdict != record.Crashed {
			t.Errorf("%s, saved: %+v, %v", name, r, err)
		}
	}
}

// A log found later makes more of a run that had its verdict.
func TestConsoleOfAJudgedRun(t *testing.T) {
	dir := recorded(t)
	change(t, dir, func(r *record.Record) { r.Facts.Deadly = []string{"mpage_prepare_extent_to_map"} })
	write(t, filepath.Join(dir, "console"), bugInMsync)
	if r, err := again(t, dir); err != nil || r.Verdict != record.Crashed {
		t.Errorf("%+v, %v", r, err)
	}
}

// What is no log, or tells of no death of the kernel, changes nothing.
func TestOtherFiles(t *testing.T) {
	dir := diedInSettle(t)
	write(t, filepath.Join(dir, "vmcore"), "KDUMP\x00\x00"+strings.ReplaceAll(bugInMsync, "\n", "\x00\n"))
	write(t, filepath.Join(dir, "notes.txt"), "the kernel BUG at fs/ext4/inode.c:2662! was not seen\n"+strings.Repeat("x", 2*maxLine)+"\n")
	write(t, filepath.Join(dir, "run.json.new"), bugInMsync)
	if err := os.Symlink("/dev/zero", filepath.Join(dir, "zero.log")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "more"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "more", "serial.log"), bugInMsync)
	r, err := again(t, dir)
	if err != nil || r.Verdict != record.Reproduced || r.Channels.Console.State != record.StateAbsent {
		t.Errorf("%+v, %v", r, err)
	}
}

// Of a long log, the end is read.
func TestLongConsole(t *testing.T) {
	dir := diedInSettle(t)
	path := filepath.Join(dir, "serial.log")
	write(t, path, "")
	if err := os.Truncate(path, 2*consoleTail); err != nil { // a hole
		t.Fatal(err)
	}
	appendTo(t, path, "\n"+bugInMsync)
	if r, err := again(t, dir); err != nil || r.Verdict != record.Crashed {
		t.Errorf("%+v, %v", r, err)
	}
}
