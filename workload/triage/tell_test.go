package triage_test

import (
	"bytes"
	"strings"
	"testing"

	"umemstress/workload/record"
	"umemstress/workload/triage"
)

// trace is what a kernel prints of a death or of a warning.
func trace(head, task, place string, calls ...string) string {
	var b strings.Builder
	b.WriteString("[    1.000000] " + head + "\n[    1.000001] CPU: 0 PID: 99 Comm: " + task + "\n")
	if place != "" {
		b.WriteString("[    1.000002] RIP: 0010:" + place + "+0x1/0x2 [x]\n")
	}
	for _, c := range calls {
		b.WriteString("[    1.000003]  " + c + "+0x1/0x2 [x]\n")
	}
	return b.String() + "[    1.000004] ---[ end trace 0000000000000000 ]---\n"
}

const (
	task6    = "app Not tainted 6.6.1 #1"
	oopsHead = "kernel BUG at fs/ext4/inode.c:2297!\n[    1.000000] invalid opcode: 0000 [#1] SMP"
)

// How sure an answer is depends on what words there are. Kernels and lines here are of no log at
// hand: what they print is known from their source.
func TestHowSure(t *testing.T) {
	for name, c := range map[string]struct {
		log    string
		sure   triage.Sure
		effect record.Verdict
	}{
		"nothing":     {"", triage.Nothing, ""},
		"a quiet log": {"[    0.000000] Linux version 6.6.1 (a@b) #1 SMP\n[    1.0] EXT4-fs (vda1): mounted filesystem\n", triage.Nothing, ""},
		"talk of it":  {"the kernel BUG at fs/ext4/inode.c:2297! was in mpage_prepare_extent_to_map\n", triage.Nothing, ""},

		// The BUG: at a line of which nothing is known, cut off sooner and sooner.
		"a BUG in writeback": {trace(oopsHead, task6, "mpage_prepare_extent_to_map", "ext4_writepages", "do_writepages"), triage.Likely, record.Crashed},
		"without the oops":   {trace("kernel BUG at fs/ext4/inode.c:2297!", task6, "mpage_prepare_extent_to_map"), triage.Likely, record.Crashed},
		"without the place":  {trace(oopsHead, task6, "", "mpage_prepare_extent_to_map", "ext4_writepages"), triage.Likely, record.Crashed},
		"its line, cut off":  {"[    1.0] kernel BUG at fs/ext4/\n", triage.Possible, ""},
		"a fault, cut off":   {"[    1.0] BUG: kernel NULL pointer dereference, address: 0\n", triage.Possible, ""},
		"a panic, cut off":   {"[    1.0] Kernel panic - not syncing: Fatal exception\n", triage.Possible, ""},
		"another, cut off":   {"[    1.0] kernel BUG at mm/slub.c:9!\n", triage.Other, ""},
		"its line alone":     {"[    1.0] kernel BUG at fs/ext4/inode.c:2297!\n", triage.Possible, ""},
		"after a warning":    {trace("WARNING: CPU: 0 PID: 9 at fs/ext4/inode.c:9 ext4_set_page_dirty+0x48/0x50 [ext4]", task6, "ext4_set_page_dirty", "set_page_dirty_lock") + trace(oopsHead, task6, "mpage_prepare_extent_to_map"), triage.Certain, record.Crashed},
		"after one of another boot": {trace("WARNING: CPU: 0 PID: 9 at fs/ext4/inode.c:9 ext4_set_page_dirty+0x48/0x50 [ext4]", task6, "ext4_set_page_dirty", "set_page_dirty_lock") +
			"[    0.000000] Linux version 6.6.1 (a@b) #1 SMP\n" + trace(oopsHead, task6, "mpage_prepare_extent_to_map"), triage.Likely, record.Crashed},
		"the report's line, of its kernel":      {trace(oopsHead, "app Tainted: G W 3.10.0-514.21.1.el7.x86_64 #1", "mpage_prepare_extent_to_map"), triage.Certain, record.Crashed},
		"that line in another function":         {trace(oopsHead, task6, "ext4_da_get_block_prep", "ext4_map_blocks", "a", "b"), triage.Other, ""},
		"that line of another file":             {trace("kernel BUG at fs/ext4/super.c:2297!\n[    1.0] invalid opcode: 0000 [#1] SMP", task6, "ext4_put_super", "a", "b", "c"), triage.Other, ""},
		"another BUG where it is met":           {trace("kernel BUG at mm/filemap.c:9!\n[    1.0] invalid opcode: 0000 [#1] SMP", task6, "folio_unlock", "mpage_prepare_extent_to_map"), triage.Possible, ""},
		"a fault at a release":                  {trace("BUG: unable to handle page fault for address: ffff\n[    1.0] Oops: 0000 [#1] SMP", task6, "folio_mark_dirty", "__ib_umem_release"), triage.Possible, ""},
		"a fault of a driver":                   {trace("BUG: unable to handle page fault for address: ffff\n[    1.0] Oops: 0000 [#1] SMP", task6, "rxe_requester", "a", "b", "c", "ib_umem_release"), triage.Other, ""},
		"a panic by hand":                       {trace("Kernel panic - not syncing: sysrq triggered crash", task6, "", "panic", "sysrq_handle_crash"), triage.Other, ""},
		"a folio of btrfs, no release":          {trace("BUG: kernel NULL pointer dereference, address: 0\n[    1.0] Oops: 0000 [#1] SMP", task6, "_raw_spin_lock_irqsave", "btrfs_folio_set_fixup_dirty"), triage.Likely, record.Crashed},
		"a wait in writeback":                   {"[    1.0] INFO: task sync:107 blocked for more than 120 seconds.\n[    1.0]  __schedule+0x1/0x2\n[    1.0]  mpage_prepare_extent_to_map+0x1/0x2 [ext4]\n", triage.Possible, ""},
		"a wait elsewhere":                      {"[    1.0] INFO: task sync:107 blocked for more than 120 seconds.\n[    1.0]  __schedule+0x1/0x2\n[    1.0]  nfs_wait+0x1/0x2 [nfs]\n", triage.Other, ""},
		"a lockup":                              {"[    1.0] watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [a:1]\n", triage.Other, ""},
		"an error of ext4":                      {"[    1.0] EXT4-fs error (device vda1): ext4_find_extent:938: inode #12: comm a: b\n", triage.Other, ""},
		"a warning of ext4, of something else":  {"[    1.0] EXT4-fs warning (device dm-1): ext4_dx_add_entry:2473: Directory (ino: 2) index full!\n[    2.0] EXT4-fs warning: 9 callbacks suppressed\n", triage.Nothing, ""},
		"warnings of ext4 that nobody has seen": {"[    2.0] EXT4-fs warning: 9 callbacks suppressed\n", triage.Possible, ""},
		"pages thrown away":                     {"[    1.0] EXT4-fs warning (device vda1): mpage_prepare_extent_to_map:2733: inode #12: comm a: folio 5 does not have buffers attached\n", triage.Certain, record.DataLost},

		// The warning when a page is marked dirty, before 6.19 and since; what follows cut off.
		"the warning at a release":            {trace("WARNING: CPU: 0 PID: 9 at fs/ext4/inode.c:9 ext4_dirty_folio+0x48/0x50 [ext4]", task6, "ext4_dirty_folio", "folio_mark_dirty", "unpin_user_page_range_dirty_lock", "__ib_umem_release"), triage.Certain, record.Reproduced},
		"the warning at a release, newer":     {trace("WARNING: fs/ext4/inode.c:9 at ext4_dirty_folio+0x48/0x50 [ext4], CPU#1: app/152", task6, "ext4_dirty_folio", "__bio_release_pages"), triage.Certain, record.Reproduced},
		"the warning alone":                   {"[    1.0] WARNING: fs/ext4/inode.c:9 at ext4_dirty_folio+0x48/0x50 [ext4], CPU#1: app/152\n", triage.Possible, ""},
		"the warning of who does not lock":    {trace("WARNING: fs/ext4/inode.c:9 at ext4_dirty_folio+0x48/0x50 [ext4], CPU#1: kworker/0:1/152", task6, "ext4_dirty_folio", "set_page_dirty", "nfs_direct_read_completion"), triage.Likely, record.Exposed},
		"its line, of a kernel that is known": {"[    1.0] WARNING: CPU: 0 PID: 9 at fs/ext4/inode.c:3664 ext4_dirty_folio+0x48/0x50 [ext4]\n[    1.0] CPU: 0 PID: 9 Comm: a Not tainted 6.1.0-56-amd64 #1  Debian 6.1.192-2\n", triage.Certain, record.Reproduced},
		"the line before, of that kernel":     {trace("WARNING: CPU: 0 PID: 9 at fs/ext4/inode.c:3663 ext4_dirty_folio+0x48/0x50 [ext4]", "a Not tainted 6.1.0-56-amd64 #1  Debian 6.1.192-2", "ext4_dirty_folio", "set_page_dirty", "nfs_direct_read_completion"), triage.Likely, record.Exposed},
		"a warning of another function":       {trace("WARNING: CPU: 0 PID: 9 at fs/ext4/inode.c:9 ext4_evict_inode+0x48/0x50 [ext4]", task6, "ext4_evict_inode", "evict", "a", "b"), triage.Other, ""},
		"a warning near a release":            {trace("WARNING: CPU: 0 PID: 9 at mm/page-writeback.c:9 __folio_mark_dirty+0x48/0x50", task6, "__folio_mark_dirty", "folio_mark_dirty", "__ib_umem_release"), triage.Possible, ""},
	} {
		d := diagnosed(t, []byte(c.log))
		if d.Sure != c.sure || d.Effect != c.effect {
			t.Errorf("%s: %s %q (%s), want %s %q", name, d.Sure, d.Effect, d.Why, c.sure, c.effect)
		}
		status := map[triage.Sure]int{triage.Possible: 4, triage.Nothing: 4, triage.Other: 0, triage.Certain: c.effect.ExitCode(), triage.Likely: c.effect.ExitCode()}[c.sure]
		if d.Status() != status {
			t.Errorf("%s: exit code %d, want %d", name, d.Status(), status)
		}
		if (d.Now != nil) != (d.Sure != triage.Other && d.Sure != triage.Nothing) {
			t.Errorf("%s: what to do: %+v", name, d.Now)
		}
	}
}

// Of several deaths each is told by itself, and the one of this bug counts, whichever comes first.
func TestSeveralDeaths(t *testing.T) {
	ours := trace(oopsHead, task6, "mpage_prepare_extent_to_map", "ext4_writepages", "do_writepages")
	others := trace("BUG: unable to handle page fault for address: ffff\n[    1.0] Oops: 0000 [#2] SMP", "rx Not tainted 6.6.1 #1", "rxe_requester", "rxe_do_task", "a", "b")
	for _, log := range []string{ours + others, others + ours, others + ours + others, strings.Repeat(others, 100) + ours} {
		d := diagnosed(t, []byte(log+"[    9.0] Kernel panic - not syncing: Fatal exception\n"))
		if d.Sure != triage.Likely || d.Effect != record.Crashed || len(d.Findings) != 1 || len(d.Others) == 0 || !strings.Contains(d.Findings[0].Where, "mpage_prepare_extent_to_map") || strings.Contains(d.Findings[0].Where, "rxe") {
			t.Errorf("%d bytes: %+v", len(log), d)
		}
	}
}

// No version makes a log say that it happened.
func TestNoAnswerFromAVersion(t *testing.T) {
	for _, release := range []string{"3.10.0-514.21.1.el7.x86_64", "5.10.0-13-amd64", "7.2.13+deb14-amd64"} {
		d := diagnosed(t, []byte("[    0.000000] Linux version "+release+" (a@b) #1 SMP\n[    1.0] infiniband rxe0: added\n"))
		if d.Sure != triage.Nothing || d.Kernel == "" || d.Now != nil {
			t.Errorf("%s: %+v", release, d)
		}
	}
}

// Cut off anywhere, a log never tells of another bug, nor more than the whole does.
func TestCutOff(t *testing.T) {
	rank := map[triage.Sure]int{triage.Certain: 0, triage.Likely: 1, triage.Possible: 2, triage.Nothing: 3, triage.Other: 4}
	for name, log := range logs(t) {
		if strings.HasPrefix(name, "log-") { // has other bugs, too
			continue
		}
		whole := diagnosed(t, log)
		for at := 0; at <= len(log); at += 37 {
			if d := diagnosed(t, log[:at]); rank[d.Sure] < rank[whole.Sure] {
				t.Errorf("%s: its first %d bytes are %s", name, at, d.Sure)
			}
			if end := bytes.LastIndexByte(log[:at], '\n') + 1; diagnosed(t, log[:end]).Sure == triage.Other {
				t.Errorf("%s: its first %d bytes are of another bug", name, end)
			}
			diagnosed(t, log[at:]) // and what is missing is its beginning
		}
	}
}
