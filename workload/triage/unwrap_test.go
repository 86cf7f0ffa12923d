package triage

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"umemstress/probes/kmsg"
)

// What the classifier tells anything of is looked at.
func TestTelling(t *testing.T) {
	names, err := filepath.Glob("../../probes/kmsg/testdata/*/*.txt")
	if err != nil || len(names) < 10 {
		t.Fatalf("%d logs, %v", len(names), err)
	}
	kinds := map[kmsg.Kind]bool{}
	for _, name := range names {
		log, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(log)) {
			if l := kmsg.Classify(line); l.Kind != "" {
				if kinds[l.Kind] = true; !telling(line) {
					t.Errorf("%q is %s", line, l.Kind)
				}
			}
		}
	}
	if len(kinds) < 12 {
		t.Errorf("the logs have lines of %d kinds alone", len(kinds))
	}
	// Of the classifier's other rules.
	for _, line := range []string{
		"general protection fault, probably for non-canonical address 0xdead000000000122: 0000 [#1] PREEMPT", "Internal error: Oops: 0000000096000004 [#1] SMP",
		"Unable to handle kernel NULL pointer dereference at virtual address 0000000000000008", "watchdog: Watchdog detected hard LOCKUP on cpu 1",
		"rcu: INFO: rcu_sched self-detected stall on CPU", "BTRFS critical (device dm-3 state EA): corrupt leaf", "Pid: 1319, comm: a Not tainted 2.6.32-754.el6.x86_64 #1",
		"Linux version 5.10.0-46-amd64 (a@b) #1 SMP", "pc : ext4_dirty_folio+0x48/0x50 [ext4]", "BUG: Bad page state in process a  pfn:1234",
	} {
		if kmsg.Classify(line).Kind == "" || !telling(line) {
			t.Errorf("%q: %q, %v", line, kmsg.Classify(line).Kind, telling(line))
		}
	}
}

// Lines are put together only where that tells more.
func TestUnwrap(t *testing.T) {
	for in, want := range map[string]string{
		"[ 1.0] WARNING: CPU: 1 PID: 152 at fs/ext4/inode.c:3707\next4_set_page_dirty+0x48/0x50 [ext4]":  "[ 1.0] WARNING: CPU: 1 PID: 152 at fs/ext4/inode.c:3707 ext4_set_page_dirty+0x48/0x50 [ext4]",
		"[ 1.0] WARNING: CPU: 1 PID: 152 at\nfs/ext4/inode.c:3707\next4_set_page_dirty+0x48/0x50 [ext4]": "[ 1.0] WARNING: CPU: 1 PID: 152 at fs/ext4/inode.c:3707 ext4_set_page_dirty+0x48/0x50 [ext4]",
		"[ 1.0] WARNING: a\nb\nc\nd\n[ 2.0] e": "[ 1.0] WARNING: a|b|c|d|[ 2.0] e",
		"[ 1.0] EXT4-fs warning (device a): f:1: inode #1: comm b:\npage 0 does not have buffers attached": "[ 1.0] EXT4-fs warning (device a): f:1: inode #1: comm b: page 0 does not have buffers attached",
		"[ 1.0] Modules linked in: a\nb c\nd":                                     "[ 1.0] Modules linked in: a b c d",
		"[ 1.0] Modules linked in: a\nKey: b":                                     "[ 1.0] Modules linked in: a|Key: b",
		"[ 1.0] kernel BUG at a.c:1!\nand more":                                   "[ 1.0] kernel BUG at a.c:1!|and more",
		"WARNING: x\nCPU: 1 PID: 152 Comm: a Not tainted 6.6.1 #1":                "WARNING: x|CPU: 1 PID: 152 Comm: a Not tainted 6.6.1 #1",
		"[ 1.0] CPU: 1 PID: 152 Comm: a Tainted: G\nW 6.6.1 #1\nHardware name: b": "[ 1.0] CPU: 1 PID: 152 Comm: a Tainted: G W 6.6.1 #1|Hardware name: b",
		"[ 1.0] a\n[ 2.0] b":                                                      "[ 1.0] a|[ 2.0] b",
	} {
		var u unwrapper
		var got []string
		for i, line := range strings.Split(in, "\n") {
			for _, m := range u.add(entry{number: uint64(i + 1), text: line}) {
				got = append(got, m.text)
			}
		}
		for _, m := range u.last() {
			got = append(got, m.text)
		}
		if strings.Join(got, "|") != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
