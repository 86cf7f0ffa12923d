package kmsg

import (
	"os"
	"strings"
	"testing"
)

// What kernels said when they died of it, as they said it.
func TestOopses(t *testing.T) {
	for name, want := range map[string]Oopses{
		"btrfs-7.2": {Comm: "dio3", All: 1, Ours: 1, First: "BUG: kernel NULL pointer dereference, address: 0000000000000000, in _raw_spin_lock_irqsave ← btrfs_folio_set_fixup_dirty ← btrfs_data_dirty_folio ← __bio_release_pages"},
		"ext4-5.10": {Comm: "umemstress", All: 1, Ours: 1, First: "kernel BUG at fs/ext4/inode.c:2662, in mpage_prepare_extent_to_map ← ext4_writepages ← do_writepages ← __filemap_fdatawrite_range"},
		// It lists its modules before it says whose thread it is; its end is missing.
		"ext4-3.10": {Comm: "node_runner_w8", All: 1, Ours: 1, First: "kernel BUG at fs/ext4/inode.c:2297, in mpage_prepare_extent_to_map ← ext4_writepages ← do_writepages ← __filemap_fdatawrite_range"},
	} {
		log, err := os.ReadFile("testdata/oops/" + name + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		got, others := Oopses{Comm: want.Comm}, Oopses{Comm: "somebody"}
		for line := range strings.Lines(string(log)) {
			got.Add(Classify(line))
			others.Add(Classify(line))
		}
		if cut := name == "ext4-3.10"; got.Told() == cut || got.All != want.All || got.Ours != want.Ours || got.First != want.First {
			t.Errorf("%s: %+v\nwant %+v", name, got, want)
		}
		if others.All != want.All || others.Ours != 0 {
			t.Errorf("%s, seen by somebody else: %+v", name, others)
		}
	}
}

// A warning has a trace like an oops, and nobody dies of it.
func TestWarningIsNoOops(t *testing.T) {
	var o Oopses
	for line := range strings.Lines(`[    9.168399] ------------[ cut here ]------------
[    9.168427] WARNING: CPU: 1 PID: 103 at fs/ext4/inode.c:3707 ext4_set_page_dirty+0x48/0x50 [ext4]
[    9.168447] CPU: 1 PID: 103 Comm: umemstress Not tainted 5.10.262-bug #1
[    9.169171] RIP: 0010:ext4_set_page_dirty+0x48/0x50 [ext4]
[    9.170000] ---[ end trace 0000000000000000 ]---
`) {
		o.Add(Classify(line))
	}
	if o.All != 0 || o.Told() || o.First != "" {
		t.Errorf("%+v", o)
	}
}
