//go:build lab

package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"umemstress/soft-roce/lab/internal/labtest"
	"umemstress/soft-roce/lab/kernels"
)

// These tests boot guests, with the kernel that most of the lab's users want.

func testKernel(t *testing.T) kernels.Kernel {
	t.Helper()
	s, err := kernels.DefaultStore()
	if err != nil {
		t.Fatal(err)
	}
	k, err := s.Find(t.Context(), "5.10")
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// shell is a guest that runs a script.
func shell(t *testing.T, script string) (c Config, stdout, stderr *bytes.Buffer) {
	stdout, stderr = new(bytes.Buffer), new(bytes.Buffer)
	return Config{
		Kernel:  testKernel(t),
		Program: []string{"sh", "-c", script},
		Timeout: 2 * time.Minute,
		Stdout:  stdout,
		Stderr:  stderr,
	}, stdout, stderr
}

// guestScript prints facts about the guest, one a line.
const guestScript = `
echo kernel=$(uname -r)
echo uid=$(id -u)
echo cwd=$(pwd)
echo port=$(cat /sys/class/infiniband/rxe0/ports/1/state)
echo gids=$(cat /sys/class/infiniband/rxe0/ports/1/gid_attrs/types/1)
echo gid1=$(cat /sys/class/infiniband/rxe0/ports/1/gids/1)
echo memlock=$(ulimit -l)
echo slack=$(cat /proc/self/timerslack_ns)
echo tmp=$(stat -f -c %T "$TMPDIR")
echo tmpdev=$(df --output=source "$TMPDIR" | tail -1)
echo root=$(stat -f -c %T /)
echo given=$GIVEN
echo leak=$LEAK
echo own=$(cat own)
echo host=$(cat "$SHARED/from-host")
echo tainted=$(cat /proc/sys/kernel/tainted)
echo stdin=$(wc -c)
modprobe xfs && echo xfs=$(grep -c xfs /proc/filesystems)
for fs in debugfs tracefs bpf cgroup2; do grep -q " $fs " /proc/mounts && echo $fs=mounted; done
dd if=/dev/zero of="$TMPDIR/image" bs=1M count=64 status=none && mke2fs -q -t ext4 "$TMPDIR/image" &&
	mkdir /mnt/loop && mount -o loop "$TMPDIR/image" /mnt/loop && echo loop=$(stat -f -c %T /mnt/loop)
echo changed > own
echo from-guest > "$SHARED/from-guest"
sleep 1000 &
`

// TestGuest has one guest for all that a program can see and do in it, and for what
// it prints: its facts, and then all byte values on both streams, in more than any buffer
// between guest and host holds.
func TestGuest(t *testing.T) {
	t.Setenv("LEAK", "x")
	dir, shared := t.TempDir(), t.TempDir()
	labtest.WriteFile(t, filepath.Join(dir, "own"), "the host's\n")
	labtest.WriteFile(t, filepath.Join(shared, "from-host"), "hello\n")
	data := make([]byte, 4<<20)
	for i := range data {
		data[i] = byte(i ^ i>>8)
	}
	labtest.WriteFile(t, filepath.Join(dir, "data"), string(data))
	c, stdout, stderr := shell(t, guestScript+"cat data; cat data >&2; exit 7")
	c.Dir = dir
	c.Env = []string{"GIVEN=a b", "SHARED=" + shared}
	c.Shares = []string{shared}
	c.TimerSlack = 123 * time.Microsecond
	result, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("program started after %s, ended after %s", result.Boot, result.Total)
	if result.ExitCode != 7 {
		t.Errorf("exit code %d, want 7", result.ExitCode)
	}
	t.Run("facts", func(t *testing.T) {
		want := []string{
			"kernel=" + c.Kernel.Release, "uid=0", "cwd=" + dir,
			"port=4: ACTIVE", "gids=RoCE v2", "gid1=0000:0000:0000:0000:0000:ffff:0a4d:0001",
			"memlock=unlimited", "slack=123000", "tmp=ext2/ext3", "tmpdev=/dev/vda", "root=overlayfs",
			"given=a b", "leak=", "own=the host's", "host=hello", "tainted=0", "stdin=0", "xfs=1",
			"debugfs=mounted", "tracefs=mounted", "bpf=mounted", "cgroup2=mounted", "loop=ext2/ext3",
		}
		facts := stdout.Bytes()[:max(0, stdout.Len()-len(data))]
		if got := strings.TrimSpace(string(facts)); got != strings.Join(want, "\n") {
			t.Errorf("the guest says\n%s\nwant\n%s", got, strings.Join(want, "\n"))
		}
		if own, err := os.ReadFile(filepath.Join(dir, "own")); err != nil || string(own) != "the host's\n" {
			t.Errorf("the guest wrote to the host's tree: %q, %v", own, err)
		}
		if got, err := os.ReadFile(filepath.Join(shared, "from-guest")); err != nil || string(got) != "from-guest\n" {
			t.Errorf("share: %q, %v", got, err)
		}
	})
	t.Run("output is exact", func(t *testing.T) {
		if !bytes.HasSuffix(stdout.Bytes(), data) {
			t.Errorf("stdout: %d bytes arrived, which do not end in the %d of the file", stdout.Len(), len(data))
		}
		if !bytes.Equal(stderr.Bytes(), data) {
			t.Errorf("stderr: %d bytes arrived, not the %d sent", stderr.Len(), len(data))
		}
	})
}

func TestKernelCrash(t *testing.T) {
	shared := t.TempDir()
	c, stdout, _ := shell(t, "echo before; echo kept > "+shared+"/kept; sync; sleep 1; echo c > /proc/sysrq-trigger; sleep 100")
	c.NoDevice = true
	c.Shares = []string{shared}
	c.Serial = filepath.Join(t.TempDir(), "serial.log")
	_, err := Run(t.Context(), c)
	var crash *CrashError
	if !errors.As(err, &crash) || !strings.Contains(crash.Reason, "Kernel panic - not syncing: sysrq triggered crash") {
		t.Fatalf("Run = %v, want a crash", err)
	}
	if log, err := os.ReadFile(crash.Serial); err != nil || !bytes.Contains(log, []byte("Call Trace:")) {
		t.Errorf("serial log %s: %d bytes, %v", crash.Serial, len(log), err)
	}
	if stdout.String() != "before\n" {
		t.Errorf("stdout %q", stdout)
	}
	if kept, err := os.ReadFile(filepath.Join(shared, "kept")); err != nil || string(kept) != "kept\n" {
		t.Errorf("what was written before the crash: %q, %v", kept, err)
	}
}

func TestTimeout(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir()) // where the serial log is kept
	c, _, _ := shell(t, "sleep 1000")
	c.Timeout = 500 * time.Millisecond
	_, err := Run(t.Context(), c)
	var failed *LabError
	if !errors.As(err, &failed) || !strings.Contains(err.Error(), "not finished after 500ms") {
		t.Fatalf("Run = %v, want that the time was up", err)
	}
	if _, err := os.Stat(failed.Serial); err != nil {
		t.Error(err)
	}
}

func TestGuestThatPowersOff(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	c, _, _ := shell(t, "echo o > /proc/sysrq-trigger; sleep 100")
	c.NoDevice = true
	_, err := Run(t.Context(), c)
	if failed := new(LabError); !errors.As(err, &failed) || !strings.Contains(err.Error(), "powered off") {
		t.Errorf("Run = %v, want that the guest powered off", err)
	}
}

func TestKernelThatDoesNotBoot(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	c, _, _ := shell(t, "true")
	bad := filepath.Join(t.TempDir(), "bzImage")
	labtest.WriteFile(t, bad, "no kernel\n")
	c.Kernel.Image = bad
	_, err := Run(t.Context(), c)
	if failed := new(LabError); !errors.As(err, &failed) || !strings.Contains(err.Error(), "run QEMU") {
		t.Errorf("Run = %v, want QEMU's refusal", err)
	}
}

// readyWriter tells when the program has written something.
type readyWriter struct{ ready chan struct{} }

func (w readyWriter) Write(p []byte) (int, error) {
	select {
	case w.ready <- struct{}{}:
	default:
	}
	return len(p), nil
}

func TestCancel(t *testing.T) {
	marker := "umemstress.marker=" + t.TempDir()
	c, _, _ := shell(t, "echo ready; sleep 1000")
	c.Append = marker
	c.NoDevice = true
	out := readyWriter{make(chan struct{}, 1)}
	c.Stdout = out
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		<-out.ready
		if len(labtest.QEMUs(t, marker)) != 1 {
			t.Error("there is no guest to cancel")
		}
		cancel()
	}()
	if _, err := Run(ctx, c); !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v, want context.Canceled", err)
	}
	if left := labtest.QEMUs(t, marker); len(left) != 0 {
		t.Errorf("QEMU is still there: %v", left)
	}
}

// TestKilledLab kills a process that runs a guest, which must take the guest
// with it, whatever that waits for, and leave no file.
func TestKilledLab(t *testing.T) {
	marker := "umemstress.marker=" + t.TempDir()
	if os.Getenv("LAB_TO_BE_KILLED") != "" {
		c, _, _ := shell(t, lateRead+"lateRead; echo ready; sleep 1000")
		c.Append = os.Getenv("LAB_TO_BE_KILLED")
		c.NoDevice = true
		c.Stdout = os.Stdout
		_, err := Run(t.Context(), c)
		t.Fatalf("Run = %v", err)
	}
	cache, err := kernels.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	before := listing(t, cache)
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledLab$")
	tmp := t.TempDir()
	cmd.Env = append(os.Environ(), "LAB_TO_BE_KILLED="+marker, "TMPDIR="+tmp)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make([]byte, len("ready\n"))
	if _, err := io.ReadFull(out, ready); err != nil || string(ready) != "ready\n" {
		t.Fatalf("%q, %v", ready, err)
	}
	pids := labtest.QEMUs(t, marker)
	if len(pids) != 1 {
		t.Error("there is no guest")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the lab was not killed")
	}
	gone(t, pids)
	if after := listing(t, cache); after != before {
		t.Errorf("files in the cache: %s, before: %s", after, before)
	}
	if left := listing(t, tmp); left != "[]" {
		// The test's own directory is all there is.
		for _, entry := range strings.Fields(strings.Trim(left, "[]")) {
			if !strings.HasPrefix(entry, "TestKilledLab") {
				t.Errorf("left in TMPDIR: %s", left)
			}
		}
	}
}

func listing(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return fmt.Sprint(names)
}
