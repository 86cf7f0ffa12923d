package hog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"umemstress/workload/child"
	"umemstress/workload/internal/worktest"
)

// ownerChild starts a hog, says its PID and waits to be killed.
const ownerChild = "owner"

func owner([]string, io.Reader, io.Writer) error {
	h, err := Start(context.Background())
	if err != nil {
		return err
	}
	fmt.Println(h.cmd.Process.Pid)
	select {}
}

// The test binary is also what tests start: a hog, and a process that is killed while it
// has one.
func TestMain(m *testing.M) {
	child.RunIfChild(map[string]child.Main{Child: Main, ownerChild: func(args []string, in io.Reader, out io.Writer) error {
		child.RunIfChild(nil) // the marker is gone: it may start copies
		return owner(args, in, out)
	}})
	os.Exit(m.Run())
}

// killedOwner starts an owner, kills it, and returns the PID of its hog.
func killedOwner(t *testing.T) (hog int) {
	t.Helper()
	cmd, err := child.Command(ownerChild)
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, err = fmt.Fscan(out, &hog)
	if err := errors.Join(err, unix.Kill(hog, 0), cmd.Process.Kill()); err != nil {
		t.Fatal(err)
	}
	cmd.Wait() // "signal: killed"
	return hog
}

// A hog takes what it is told to, at once, and is the OOM killer's first choice.
func TestHog(t *testing.T) {
	h, err := Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	pid := h.cmd.Process.Pid
	if got, err := os.ReadFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid)); err != nil || strings.TrimSpace(string(got)) != "1000" {
		t.Errorf("oom_score_adj %q, %v", got, err)
	}
	const step = 8 << 20 // what a Go program itself takes meanwhile is little beside it
	before := resident(t, pid)
	for n := uint64(1); n <= 3; n++ {
		if err := h.Grow(step); err != nil {
			t.Fatal(err)
		}
		if answer, alive := <-h.Answers; !alive {
			t.Fatal(h.Fate(), answer)
		}
		const slack = 1 << 20 // the kernel adds up what threads fault in only now and then
		if got := resident(t, pid); got+slack < before+n*step {
			t.Errorf("%d bytes are resident after %d steps of %d, %d before", got, n, step, before)
		}
	}
	if err := errors.Join(h.Close(), h.Close()); err != nil {
		t.Error(err)
	}
	if err := unix.Kill(pid, 0); !errors.Is(err, unix.ESRCH) {
		t.Errorf("the hog is still there: %v", err)
	}
}

// resident is how much anonymous memory a process has, in bytes.
func resident(t *testing.T, pid int) uint64 {
	t.Helper()
	return status(t, pid).RssAnon
}

// status is what the kernel says of a process; its sizes are in bytes.
func status(t *testing.T, pid int) procfs.ProcStatus {
	t.Helper()
	p, err := procfs.NewProc(pid)
	if err != nil {
		t.Fatal(err)
	}
	said, err := p.NewStatus()
	if err != nil {
		t.Fatal(err)
	}
	return said
}

// What ends a hog is told apart.
func TestHogFate(t *testing.T) {
	killed, err := Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := killed.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := killed.Fate(); !errors.Is(err, errKilled) {
		t.Errorf("killed: %v", err)
	}
	// What the kernel says decides: the hog is the first that its OOM killer takes.
	killed.kills = func() (uint64, error) { return killed.before + 1, nil }
	if err := killed.Fate(); !errors.Is(err, errOOMKilled) {
		t.Errorf("killed while the OOM killer killed: %v", err)
	}
	killed.kills = func() (uint64, error) { return 0, errors.New("no vmstat") }
	if err := killed.Fate(); err == nil || !strings.Contains(err.Error(), "by whom is not known") {
		t.Errorf("killed by who knows: %v", err)
	}
	// A child that somebody else has reaped leaves no status behind.
	killed.cmd.ProcessState = nil
	if err := killed.Fate(); err == nil || !strings.Contains(err.Error(), "is not known") {
		t.Errorf("reaped by another: %v", err)
	}
	greedy, err := Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := greedy.Grow(1 << 62); err != nil {
		t.Fatal(err)
	}
	if err := greedy.Fate(); errors.Is(err, errKilled) || errors.Is(err, errOOMKilled) || !strings.Contains(err.Error(), "mmap") {
		t.Errorf("told to take more than there can be: %v", err)
	}
}

// A hog does not outlive the process that started it.
func TestHogEndsWithOwner(t *testing.T) {
	hog := killedOwner(t)
	worktest.Eventually(t, "the hog ends with its owner", func() bool {
		p, err := procfs.NewProc(hog)
		if err != nil {
			return true
		}
		stat, err := p.Stat()
		return err != nil || stat.State == "Z" // as where nobody reaps orphans
	})
}

// A hog that says nothing is waited for as long as the run goes on.
func TestMuteHog(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	mute := exec.Command("sleep", "600")
	if h, err := start(ctx, mute); !errors.Is(err, context.DeadlineExceeded) || h != nil {
		t.Errorf("%v, %v", h, err)
	}
	if mute.ProcessState == nil {
		t.Error("it is still there")
	}
}

func TestOOMKills(t *testing.T) {
	if n, err := oomKillsIn("nr_dirty 3\noom_kill 12\nhtlb_buddy_alloc_success 0\n"); n != 12 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	for text, want := range map[string]string{"nr_dirty 3\n": "4.13", "oom_kill many\n": "oom_kill: "} {
		if _, err := oomKillsIn(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := oomKills(); err != nil {
		t.Error(err)
	}
}
