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
