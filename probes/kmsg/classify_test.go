package kmsg

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// told writes down what a line was found to tell: its kind, its fields, and its words.
func told(l Line) string {
	said, value := string(l.Kind), reflect.ValueOf(l)
	for i := range value.NumField() {
		if name := value.Type().Field(i).Name; name != "Kind" && name != "Text" && !value.Field(i).IsZero() {
			said += fmt.Sprintf(" %s=%v", strings.ToLower(name), value.Field(i))
		}
	}
	return said + " | " + l.Text + "\n"
}

// The logs are of stock kernels' consoles, as they were, shortened: what each line of them is
// about stands in the golden file beside it. Lines that tell nothing are left out there.
func TestClassifyLogs(t *testing.T) {
	logs, err := filepath.Glob("testdata/*/*.txt")
	if err != nil || len(logs) < 6 {
		t.Fatalf("%d logs, %v", len(logs), err)
	}
	for _, name := range logs {
		log, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		for line := range strings.Lines(string(log)) {
			if l := Classify(line); l.Kind != "" {
				got.WriteString(told(l))
			}
		}
		golden := strings.TrimSuffix(name, ".txt") + ".golden"
		if *update {
			if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got.String() != string(want) {
			t.Errorf("%s:\n%s\nwant\n%s", name, got.String(), want)
		}
	}
}

// What kernels print that nobody can have them print at will, from their source.
func TestClassify(t *testing.T) {
	for line, want := range map[string]Line{
		// 6.19 and newer, with CONFIG_DEBUG_BUGVERBOSE_DETAILED; before 3.11; without sources.
		"[    1.000000] WARNING: [ptr == 0 && 1] fs/ext4/inode.c:3953 at ext4_dirty_folio+0x5e/0x80 [ext4], CPU#1: kworker/u8:3/152": {Kind: Warning, File: "fs/ext4/inode.c", Number: 3953, Function: "ext4_dirty_folio", CPU: "1", Comm: "kworker/u8:3", PID: 152},
		"[    1.000000] WARNING: at fs/ext4/inode.c:3222 ext4_set_page_dirty+0x48/0x50 [ext4]() (Not tainted)":                       {Kind: Warning, File: "fs/ext4/inode.c", Number: 3222, Function: "ext4_set_page_dirty"},
		"[    1.000000] WARNING: CPU: 1 PID: 152 at ext4_dirty_folio+0x5e/0x80 [ext4]":                                               {Kind: Warning, Function: "ext4_dirty_folio", CPU: "1", PID: 152},
		// Not WARN()s.
		"[    1.000000] WARNING: possible circular locking dependency detected": {},
		"[    1.000000] x86/mm: WARNING: CPU: none of them":                     {},
		// Oopses of other sorts and machines.
		"[    1.000000] general protection fault, probably for non-canonical address 0xdead000000000122: 0000 [#1] SMP NOPTI": {Kind: Oops},
		"[    1.000000] Oops: general protection fault, maybe for address 0x0: 0000 [#2] SMP":                                 {Kind: Oops},
		"[    1.000000] Internal error: Oops: 0000000096000004 [#1] SMP":                                                      {Kind: Oops},
		"[    1.000000] Unable to handle kernel NULL pointer dereference at virtual address 0000000000000008":                 {Kind: Fault},
		"[    1.000000] BUG: unable to handle page fault for address: ffffc900008b3930":                                       {Kind: Fault},
		"[    1.000000] BUG: unable to handle kernel paging request at ffffc900008b3930":                                      {Kind: Fault},
		"[    1.000000] BUG: Bad page state in process umemstress  pfn:1234":                                                  {Kind: Report},
		"[    1.000000] BUG: KASAN: use-after-free in ext4_writepages+0x1/0x2":                                                {Kind: Report},
		"[    1.000000] kernel BUG at fs/ext4/inode.c:2662!":                                                                  {Kind: Bug, File: "fs/ext4/inode.c", Number: 2662},
		"[    1.000000] kernel BUG at ./include/linux/mm.h:717!":                                                              {Kind: Bug, File: "./include/linux/mm.h", Number: 717},
		// Whose kernel it is, with flags that older ones write wider; whose thread, until 3.10; arm64.
		"[    1.000000] CPU: 6 PID: 13195 Comm: node_runner_w8 Tainted: G W OE ------------ T 3.10.0-514.21.1.el7.x86_64 #1":  {Kind: Task, CPU: "6", PID: 13195, Comm: "node_runner_w8", Release: "3.10.0-514.21.1.el7.x86_64", Version: "#1"},
		"[    1.000000] CPU: 6 PID: 13195 Comm: node_runner_w8 Tainted: G W OE":                                               {Kind: Task, CPU: "6", PID: 13195, Comm: "node_runner_w8"},
		"[    1.000000] Pid: 1319, comm: a b Not tainted 2.6.32-754.el6.x86_64 #1 Dell Inc. X":                                {Kind: Task, PID: 1319, Comm: "a b", Release: "2.6.32-754.el6.x86_64", Version: "#1 Dell Inc. X"},
		"[    1.000000] Linux version 5.10.0-46-amd64 (a@b) (gcc-10 (Debian 10.2.1-6)) #1 SMP Debian 5.10.262-1 (2026-07-31)": {Kind: Boot, Release: "5.10.0-46-amd64", Version: "#1 SMP Debian 5.10.262-1 (2026-07-31)"},
		"[    1.000000] pc : ext4_dirty_folio+0x48/0x50 [ext4]":                                                               {Kind: Place, Function: "ext4_dirty_folio"},
		"[    1.000000] set_page_dirty_lock+0x2f/0x50":                                                                        {Kind: Call, Function: "set_page_dirty_lock"},
		"[    1.000000] ? set_page_dirty_lock+0x2f/0x50":                                                                      {},
		// Lockups and waits.
		"[    1.000000] watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [kworker/0:1:57]":                     {Kind: Lockup, Text: "BUG: soft lockup - CPU#0 stuck for 22s! [kworker/0:1:57]", CPU: "0", Comm: "kworker/0:1", PID: 57},
		"[    1.000000] BUG: soft lockup - CPU#3 stuck for 67s!":                                                {Kind: Lockup, CPU: "3"},
		"[    1.000000] watchdog: Watchdog detected hard LOCKUP on cpu 1":                                       {Kind: Lockup, Text: "Watchdog detected hard LOCKUP on cpu 1", CPU: "1"},
		"[    1.000000] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:":                                  {Kind: Lockup, Text: "INFO: rcu_preempt detected stalls on CPUs/tasks:"},
		"[    1.000000] rcu: INFO: rcu_sched self-detected stall on CPU":                                        {Kind: Lockup, Text: "INFO: rcu_sched self-detected stall on CPU"},
		"[    1.000000] INFO: task kworker/u4:2:31 blocked for more than 120 seconds.":                          {Kind: Hung, Comm: "kworker/u4:2", PID: 31},
		"[    1.000000] INFO: task jbd2/sda1-8:31 blocked in I/O wait for more than 120 seconds.":               {Kind: Hung, Comm: "jbd2/sda1-8", PID: 31},
		"[    1.000000] INFO: task touch:107 is blocked on a mutex likely owned by task sync:99.":               {},
		"[    1.000000] INFO: lockdep is turned off.":                                                           {},
		"[    1.000000] XFS (loop0): Mounting V5 Filesystem":                                                    {},
		"[    1.000000] BTRFS info (device loop0): using free space tree":                                       {},
		"[    1.000000] BTRFS critical (device dm-3 state EA): corrupt leaf: root=5 block=1":                    {Kind: FSError, Filesystem: "BTRFS", Device: "dm-3"},
		"[    1.000000] EXT4-fs (loop0): mounted filesystem with ordered data mode. Opts: (null)":               {},
		"[    1.000000] EXT4-fs warning: 8182 callbacks suppressed":                                             {Kind: Suppressed, What: "EXT4-fs warning", Count: 8182},
		"[    1.000000] EXT4-fs warning: 99999999999999999999 callbacks suppressed":                             {Kind: Suppressed, What: "EXT4-fs warning", Count: 1<<64 - 1},
		"[    1.000000] btrfs_dev_stat_print_on_error: 3 callbacks suppressed":                                  {Kind: Suppressed, What: "btrfs_dev_stat_print_on_error", Count: 3},
		"[    1.000000] EXT4-fs warning (device dm-1): ext4_dx_add_entry:2473: Directory (ino: 2) index full!":  {Kind: FSWarning, Filesystem: "EXT4", Device: "dm-1", Function: "ext4_dx_add_entry"},
		"[    1.000000] EXT4-fs error (device vda1): ext4_find_extent:938: inode #12: comm a: b: pblk 3 bad":    {Kind: FSError, Filesystem: "EXT4", Device: "vda1", Function: "ext4_find_extent", Comm: "a", Inode: 12},
		"[    1.000000] EXT4-fs error (device vda1): __ext4_iget:5: inode #12: block 9: comm ls: invalid inode": {Kind: FSError, Filesystem: "EXT4", Device: "vda1", Function: "__ext4_iget", Comm: "ls", Inode: 12},
	} {
		if want.Text == "" {
			want.Text = strings.TrimPrefix(line, "[    1.000000] ")
		}
		if got := Classify(line); got != want {
			t.Errorf("%q:\n%+v, want\n%+v", line, got, want)
		}
	}
}

// A line is the same wherever it was written down, and only where it is the kernel's.
func TestClassifyBefore(t *testing.T) {
	const said = "kernel BUG at fs/ext4/inode.c:2662!"
	for _, before := range []string{
		"", "<2>", "[ 9.66] ", "[    9.667825] ", "[    9.667825][  T152] ", "[   12.000000][    C0] ", "half a line[    9.667825] ",
		"[Sat Nov 28 03:36:32 2026] ", "Nov  8 03:36:32 host kernel: ", "Nov 28 03:36:32 host kernel: [    9.667825] ", "2026-11-28T03:36:32.123456+00:00 host kernel: ",
		"Nov 28 03:36:32.123456 host kernel: ", "[    9.667825] host kernel: ", "Sat 2026-11-28 03:36:32 UTC host kernel: ", "1795836992.123456 host kernel: ",
		"2026-11-28T03:36:32,123456+00:00 ", "[Nov28 03:36] ", "[  +0.000012] ", "kern  :crit  : [    9.667825] ", "<2>[    9.667825] ",
	} {
		if Begins(before+said) != (before != "") {
			t.Errorf("%q begins a line: %v", before, before == "")
		}
		if got := Classify(before + said + "\r\n"); got.Kind != Bug || got.Text != said || got.Number != 2662 {
			t.Errorf("%q: %+v", before, got)
		}
	}
	for _, line := range []string{"", "[", "[.5] x", "[ .5] x", "[1.] x", "[1.5 x", "[a] x", "host kernel", "9 lives"} {
		if Begins(line) {
			t.Errorf("%q begins a line", line)
		}
	}
	for _, line := range []string{"umemstress: the kernel BUG at fs/ext4/inode.c:2662 is old", "[    9.66] audit: comm=\"kernel BUG at x.c:1!\"", "debugfs: BUG: none"} {
		if got := Classify(line); got.Kind != "" {
			t.Errorf("%q: %+v", line, got)
		}
	}
}
