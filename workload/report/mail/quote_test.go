package mail

import (
	"fmt"
	"strings"
	"testing"
)

// quotesOf are those of a log.
func quotesOf(said string, logs ...string) []Quote {
	q := Quoter{Said: said}
	for i, log := range logs {
		q.Begin(fmt.Sprintf("log%d", i))
		for line := range strings.Lines(log) {
			q.Add(line)
		}
	}
	return q.Quotes()
}

const warned = `[    1.0] WARNING: CPU: 0 PID: 99 at fs/ext4/inode.c:3682 ext4_set_page_dirty+0x48/0x50 [ext4]
[    1.0] Modules linked in: ext4
[    1.0] CPU: 0 PID: 99 Comm: app Not tainted 5.10.1 #1
[    1.0] RIP: 0010:ext4_set_page_dirty+0x48/0x50 [ext4]
[    1.0] Code: 08 48
[    1.0] RSP: 0018:ffffc900006b7c70 EFLAGS: 00000246
[    1.0] RAX: 0008000000000015 RBX: ffffea000006bf80 RCX: 0000000000000000
[    1.0] FS:  00007f5150a9d6c0(0000) GS:ffff88803d000000(0000) knlGS:0000000000000000
[    1.0] Call Trace:
[    1.0]  set_page_dirty_lock+0x2e/0x50
[    1.0] RIP: 0033:0x40d00e
[    1.0] RAX: ffffffffffffffda RBX: 000000000000000d RCX: 000000000040d00e
[    1.0]  </TASK>
[    1.0] ---[ end trace 386e5ea34f164e21 ]---
[    1.1] an ordinary line
`

const died510 = `[    2.0] kernel BUG at fs/ext4/inode.c:2662!
[    2.0] invalid opcode: 0000 [#1] SMP NOPTI
[    2.0] CPU: 0 PID: 107 Comm: app Tainted: G        W         5.10.1 #1
[    2.0] RIP: 0010:mpage_prepare_extent_to_map+0x267/0x290 [ext4]
[    2.0] Call Trace:
[    2.0]  ext4_writepages+0x263/0x11c0 [ext4]
[    2.0] Modules linked in: ext4
[    2.0] ---[ end trace 386e5ea34f164e22 ]---
`

const other = `[    0.5] kernel BUG at mm/slub.c:1!
[    0.5] invalid opcode: 0000 [#1] SMP NOPTI
[    0.5] ---[ end trace 0 ]---
`

// listed is what quotes are of.
func listed(quotes []Quote) string {
	var parts []string
	for _, q := range quotes {
		part := fmt.Sprintf("%s of %s: %d", q.Of, q.File, len(q.Lines))
		if q.Cut {
			part += " cut"
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, "; ")
}

// Of a kernel that warned and then died both are quoted, without registers, and of several logs the
// one that has it whole.
func TestQuoter(t *testing.T) {
	dropped := strings.Repeat("[    3.0] EXT4-fs warning (device loop0): f:1: inode #12: comm a: page 1 does not have buffers attached\n", 5)
	for name, c := range map[string]struct {
		said string
		logs []string
		want string
	}{
		"both":                  {"kernel BUG at fs/ext4/inode.c:2662", []string{warned + died510}, "death of log0: 8; warning of log0: 8"},
		"another death":         {"kernel BUG at fs/ext4/inode.c:2662", []string{other + died510}, "death of log0: 8"},
		"whichever":             {"", []string{other + died510}, "death of log0: 3"},
		"cut off, and whole":    {"", []string{died510[:200], died510}, "death of log1: 8"},
		"whole, and again":      {"", []string{died510, died510}, "death of log0: 8"},
		"messages":              {"", []string{dropped, dropped}, "messages of log0: 3 cut"},
		"a warning of others":   {"", []string{strings.ReplaceAll(warned, "fs/ext4", "net/core")}, ""},
		"panic_on_warn":         {"WARNING: CPU: 0 PID: 99 at fs/ext4/inode.c:3682 ext4_set_page_dirty+0x48/0x50 [ext4]; Kernel panic", []string{strings.Replace(warned, "[    1.0] Modules", "[    1.0] Kernel panic - not syncing: panic_on_warn set ...\n[    1.0] Modules", 1)}, "death of log0: 13"},
		"a trace without end":   {"", []string{"[    2.0] kernel BUG at fs/ext4/inode.c:1!\n" + strings.Repeat("[    2.0]  a+0x1/0x2\n", 1000)}, "death of log0: 64 cut"},
		"a line without an end": {"", []string{"[    2.0] kernel BUG at fs/ext4/inode.c:1!" + strings.Repeat("x", 10000)}, "death of log0: 1"},
		"nothing":               {"", []string{"[    2.0] hello\n", ""}, ""},
	} {
		quotes := quotesOf(c.said, c.logs...)
		if got := listed(quotes); got != c.want {
			t.Errorf("%s: %s, want %s: %+v", name, got, c.want, quotes)
		}
		for _, q := range quotes {
			for _, line := range q.Lines {
				if len(line) > 2*maxText || q.Of == quotedWarning && strings.Contains(line, "Code:") || strings.Contains(line, "ffffffffffffffda") {
					t.Errorf("%s: %q", name, line)
				}
			}
		}
	}
}
