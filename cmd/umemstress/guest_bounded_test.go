//go:build guest

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/workload/evidence"
	"umemstress/workload/record"
)

// bound is how long a command may say nothing, and until when it has to end.
type bound struct {
	silence time.Duration
	until   time.Time
}

// outcomeWithin runs the command to its end, as outcome does. One that passes the bound fails the
// test with the place where it stands: what it has said, the newest evidence below dir, the stacks of
// its goroutines and what the kernel does. A process that it leaves behind with its output passes it, too.
func outcomeWithin(t *testing.T, b bound, dir string, args ...string) (stdout string, log *timedLog, code int) {
	t.Helper()
	stdout, log, code, err := b.run(dir, args...)
	if err != nil {
		t.Fatal(err)
	}
	return stdout, log, code
}

func (b bound) run(dir string, args ...string) (stdout string, log *timedLog, code int, err error) {
	cmd := command(args...)
	cmd.Env = append(cmd.Env, "GOTRACEBACK=all")
	var out bytes.Buffer
	log = newTimedLog()
	cmd.Stdout, cmd.Stderr = &out, log
	if err := cmd.Start(); err != nil {
		return "", log, 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case err = <-ended:
			var failed *exec.ExitError
			if errors.As(err, &failed) {
				err = nil // the exit code says it
			}
			return out.String(), log, cmd.ProcessState.ExitCode(), err
		case <-time.After(100 * time.Millisecond):
		}
		var why string
		switch silent := log.silent(); {
		case silent > b.silence:
			why = fmt.Sprintf("it has said nothing for %v", silent.Round(time.Second))
		case time.Now().After(b.until):
			why = "its time is over"
		default:
			continue
		}
		return "", log, 0, fmt.Errorf("%q: %s%s", args, why, whereStands(cmd, ended, log, dir))
	}
}

// whereStands is where a command stands, which ends it.
func whereStands(cmd *exec.Cmd, ended <-chan error, log *timedLog, dir string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "\n--- evidence: %s\n--- processes:\n%s--- the kernel's log:\n%s", newestEvidence(dir), processes(), kernelLogEnd())
	// Not SIGQUIT: that asks run to end in order, which one that hangs may never do.
	_ = cmd.Process.Signal(unix.SIGABRT)
	select {
	case err := <-ended:
		fmt.Fprintf(&text, "--- ended by SIGABRT: %v\n", err)
	case <-time.After(30 * time.Second):
		_ = cmd.Process.Kill()
		fmt.Fprintf(&text, "--- 30 s after SIGABRT somebody still has its output open:\n%s", processes())
	}
	fmt.Fprintf(&text, "--- what it has said:\n%s", log)
	return text.String()
}

// newestEvidence is how far the run came that saved its record last below the directory.
func newestEvidence(dir string) string {
	records, _ := filepath.Glob(filepath.Join(dir, "*", "run.json"))
	var newest string
	var at time.Time
	for _, path := range append(records, filepath.Join(dir, "run.json")) {
		if info, err := os.Stat(path); err == nil && info.ModTime().After(at) {
			newest, at = filepath.Dir(path), info.ModTime()
		}
	}
	if newest == "" {
		return "none in " + dir
	}
	r, err := evidence.Load(newest)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%s, of %d, saved %v ago: %s", newest, len(records), time.Since(at).Round(time.Second), phasesOf(r))
}

// phasesOf are the phases that a run came to, with their seconds and outcomes.
func phasesOf(r *record.Record) string {
	var list []string
	for _, p := range r.Phases {
		list = append(list, fmt.Sprintf("%s %.2f s %s", p.Name, p.Seconds, p.Outcome))
	}
	return strings.Join(list, ", ")
}

// processes are those of the machine, with the kernel stack of each thread; of threads of the kernel,
// those that wait for what cannot be interrupted.
func processes() string {
	var text strings.Builder
	threads, _ := filepath.Glob("/proc/[0-9]*/task/[0-9]*")
	for _, thread := range threads {
		status, err := os.ReadFile(filepath.Join(thread, "status"))
		if err != nil {
			continue // it has ended
		}
		line, _ := os.ReadFile(filepath.Join(thread, "cmdline"))
		lines := strings.Split(string(status), "\n")
		at := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "State:") })
		if at < 0 || len(line) == 0 && !strings.Contains(lines[at], "D (disk sleep)") {
			continue
		}
		stack, err := os.ReadFile(filepath.Join(thread, "stack"))
		fmt.Fprintf(&text, "%s %s %s %q\n%s", thread, lines[0], lines[at], line, stack)
		if err != nil {
			fmt.Fprintf(&text, "%v\n", err)
		}
	}
	return text.String()
}

// kernelLogEnd are the last lines of the kernel's log.
func kernelLogEnd() string {
	log, err := exec.Command("dmesg").CombinedOutput()
	if err != nil {
		return fmt.Sprintf("dmesg: %v: %s", err, log)
	}
	lines := strings.SplitAfter(string(log), "\n")
	return strings.Join(lines[max(0, len(lines)-60):], "")
}

// timedLog is what was said, each piece with the seconds after which it was.
type timedLog struct {
	began time.Time

	mu   sync.Mutex
	last time.Time
	most time.Duration // without a word
	text bytes.Buffer
}

func newTimedLog() *timedLog {
	now := time.Now()
	return &timedLog{began: now, last: now}
}

func (l *timedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.most = max(l.most, now.Sub(l.last))
	l.last = now
	fmt.Fprintf(&l.text, "%7.1f %s", l.last.Sub(l.began).Seconds(), p)
	return len(p), nil
}

// silent is for how long nothing was said.
func (l *timedLog) silent() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Since(l.last)
}

// longest is the longest time between two pieces.
func (l *timedLog) longest() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.most
}

func (l *timedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// A run that passes its bound is ended, and told with the phase that it is in and the stacks of its
// goroutines and of the threads of all processes; what it changed is undone.
func TestBoundTellsPlace(t *testing.T) {
	haveModules(t, modulesOfVMCI)
	for name, b := range map[string]struct{ silence, whole time.Duration }{
		"it has said nothing for": {20 * time.Second, time.Hour}, "its time is over": {time.Hour, 20 * time.Second},
	} {
		before := tracks(t)
		dir := t.TempDir()
		_, _, _, err := bound{b.silence, time.Now().Add(b.whole)}.run(dir, small("--holder", "vmci", "--strip", "pressure", "--duration", "600", "-o", filepath.Join(dir, "evidence"))...)
		if err == nil {
			t.Fatalf("%s: a run of ten minutes has ended", name)
		}
		for _, want := range []string{name, ", write 0.00 s running", "SIGABRT: abort", "goroutine 1 ", "workload.(*run).drive", "futex_wait", `\x00hog\x00`} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: no %q in: %v", name, want, err)
			}
		}
		for deadline := time.Now().Add(20 * time.Second); tracks(t) != before && time.Now().Before(deadline); {
			time.Sleep(10 * time.Millisecond)
		}
		if after := tracks(t); after != before {
			t.Errorf("%s: left behind:\n%s\nbefore:\n%s", name, after, before)
		}
	}
}
