package machine

import (
	"testing"

	"umemstress/soft-roce/lab/internal/proto"
)

const oops = `[   12.345678] ------------[ cut here ]------------
[   12.345700] kernel BUG at fs/ext4/inode.c:2725!
[   12.345800] invalid opcode: 0000 [#1] SMP NOPTI
`

func TestCrashReason(t *testing.T) {
	for _, tt := range []struct {
		name, log, want string
	}{
		{"quiet", "[    0.016000] tsc: Unable to calibrate against PIT\r\n", ""},
		{"oops that the kernel survived", oops, ""},
		{
			"panic", "[    7.1] Kernel panic - not syncing: sysrq triggered crash\r\n[    7.2] CPU: 0\r\n",
			"Kernel panic - not syncing: sysrq triggered crash",
		},
		{
			"bug and panic", oops + "[   12.4] Kernel panic - not syncing: Fatal exception\n",
			"kernel BUG at fs/ext4/inode.c:2725!; Kernel panic - not syncing: Fatal exception",
		},
		{"cut off", "[    7.1] Kernel panic - not sy", "Kernel panic - not sy"},
		{
			"the tail of a lockup", "watchdog: BUG: soft lockup - CPU#0 stuck for 22s!\nKernel panic - not syncing: softlockup: hung tasks\n",
			"BUG: soft lockup - CPU#0 stuck for 22s!; Kernel panic - not syncing: softlockup: hung tasks",
		},
		{
			"a task that waits for ever", "[  242.1] INFO: task touch:107 blocked for more than 120 seconds.\n[  242.2] Kernel panic - not syncing: hung_task: blocked tasks\n",
			"INFO: task touch:107 blocked for more than 120 seconds.; Kernel panic - not syncing: hung_task: blocked tasks",
		},
	} {
		got, ok := CrashReason([]byte(tt.log))
		if got != tt.want || ok != (tt.want != "") {
			t.Errorf("%s: crashReason = %q, %v; want %q", tt.name, got, ok, tt.want)
		}
	}
}

func TestTroubleLine(t *testing.T) {
	if got, ok := TroubleLine([]byte(oops)); !ok || got != "kernel BUG at fs/ext4/inode.c:2725!" {
		t.Errorf("troubleLine = %q, %v", got, ok)
	}
	const hung = "[    6.893015] INFO: task touch:107 blocked for more than 2 seconds."
	if got, ok := TroubleLine([]byte("[    1.00] x\r\n" + hung + "\r\n")); !ok || got != hung[len("[    6.893015] "):] {
		t.Errorf("troubleLine of a hung task = %q, %v", got, ok)
	}
	if got, ok := TroubleLine([]byte("[ 1.0] debugfs: BUGS are fine\n")); ok {
		t.Errorf("troubleLine found %q", got)
	}
}

func TestInitReason(t *testing.T) {
	got, ok := InitReason([]byte("[ 1.0] x\r\n" + proto.InitFailure + "mount ext4 on /scratch: no such device\r\n"))
	if want := "mount ext4 on /scratch: no such device"; !ok || got != want {
		t.Errorf("initReason = %q, %v; want %q", got, ok, want)
	}
	if _, ok := InitReason([]byte("[ 1.0] x\n")); ok {
		t.Error("a reason where there is none")
	}
}

// A BUG in the context of a process is told of although the guest lives on; a warning, and a
// line that only talks of one, are none.
func TestOopsReason(t *testing.T) {
	const serial = "[    9.66] kernel BUG at fs/ext4/inode.c:2662!\r\n[    9.67] invalid opcode: 0000 [#1] SMP NOPTI\r\n" +
		"[    9.68] CPU: 0 PID: 99 Comm: cat Tainted: G        W         5.10.262 #1\r\n[    9.69] RIP: 0010:mpage_prepare_extent_to_map+0x267/0x290 [ext4]\r\n"
	if reason, died := OopsReason([]byte(serial)); !died || reason != "kernel BUG at fs/ext4/inode.c:2662, in mpage_prepare_extent_to_map" {
		t.Errorf("%q, %v", reason, died)
	}
	for _, alive := range []string{"", "[    1.00] WARNING: CPU: 1 PID: 103 at fs/ext4/inode.c:3707\r\n", "[    1.00] kernel BUG at nothing\r\n"} {
		if reason, died := OopsReason([]byte(alive)); died {
			t.Errorf("%q: %q", alive, reason)
		}
	}
}
