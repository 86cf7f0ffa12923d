package workload

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// The test binary is also what tests start: a hog, and a process that is killed while it
// has children that clean up after it.
const ownerCommand = "owner"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case HogCommand:
			exitWith(Hog(os.Stdin, os.Stdout))
		case RemoveMappedCommand:
			exitWith(RemoveMapped(os.Args[2]))
		case ownerCommand:
			exitWith(owner(os.Args[2:]))
		}
	}
	os.Exit(m.Run())
}

func exitWith(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// owner starts a hog and a janitor for each file, which makes the file, says the hog's PID and waits to be killed.
func owner(files []string) error {
	for _, file := range files {
		if _, err := startJanitor(nil, `echo undone >"$1"`, file); err != nil {
			return err
		}
	}
	h, err := startHog()
	if err != nil {
		return err
	}
	fmt.Println(h.cmd.Process.Pid)
	select {}
}

// killedOwner starts an owner, kills it, and returns the PID of its hog.
func killedOwner(t *testing.T, files ...string) (hog int) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", append([]string{ownerCommand}, files...)...)
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

// eventually waits for something that another process does.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not come about: " + what)
		}
	}
}

// A hog takes what it is told to, at once, and is the OOM killer's first choice.
func TestHog(t *testing.T) {
	h, err := startHog()
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
		if err := h.grow(step); err != nil {
			t.Fatal(err)
		}
		if answer, alive := <-h.answers; !alive {
			t.Fatal(h.fate(), answer)
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
	killed, err := startHog()
	if err != nil {
		t.Fatal(err)
	}
	if err := killed.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := killed.fate(); !errors.Is(err, errHogKilled) {
		t.Errorf("killed: %v", err)
	}
	greedy, err := startHog()
	if err != nil {
		t.Fatal(err)
	}
	if err := greedy.grow(1 << 62); err != nil {
		t.Fatal(err)
	}
	if err := greedy.fate(); errors.Is(err, errHogKilled) || !strings.Contains(err.Error(), "mmap") {
		t.Errorf("told to take more than there can be: %v", err)
	}
}

// A hog does not outlive the process that started it.
func TestHogEndsWithOwner(t *testing.T) {
	hog := killedOwner(t)
	eventually(t, "the hog ends with its owner", func() bool {
		p, err := procfs.NewProc(hog)
		if err != nil {
			return true
		}
		stat, err := p.Stat()
		return err != nil || stat.State == "Z" // as where nobody reaps orphans
	})
}

// The hog comes to nearly all memory of a large machine without waiting for longer
// than it takes: some 0.5 s a GiB, for a processor that clears 2 GiB/s.
func TestHogStep(t *testing.T) {
	for _, memory := range []int64{1 << 30, 24 << 30, 512 << 30, 2 << 40} {
		left, steps := memory, int64(0)
		for ; left > 64<<20; steps++ {
			left -= hogStep(left)
		}
		paused, filled := time.Duration(steps)*pressurePause, time.Duration(memory>>30)*time.Second/2
		if paused > filled {
			t.Errorf("%d GiB take %v in %d steps, and %v between them", memory>>30, filled, steps, paused)
		}
	}
}
