//go:build guest

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"umemstress/cmd/umemstress/internal/exit"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"umemstress/workload"
	"umemstress/workload/evidence"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// A hangup and a quit end a run in order, as an interruption does.
func TestHangup(t *testing.T) {
	before := leftovers(t)
	for phase, signal := range map[string]unix.Signal{scenario.PhasePrepare: unix.SIGHUP, scenario.PhasePin: unix.SIGQUIT} {
		stderr, state := interrupt(t, filepath.Join(t.TempDir(), phase), phase, signal)
		last := phase == reachable()[len(reachable())-1] // it may have come to its end
		if !state.Exited() || state.ExitCode() != exit.Interrupted && !last {
			t.Errorf("%v in phase %s: %v: %s", signal, phase, state, stderr)
		}
		if strings.Contains(stderr, "goroutine ") || strings.Contains(stderr, "context canceled") {
			t.Errorf("%v in phase %s: %s", signal, phase, stderr)
		}
	}
	if after := leftovers(t); after != before {
		t.Errorf("left behind:\n%s\nbefore:\n%s", after, before)
	}
}

// A run whose output nobody reads goes on to its verdict, which the exit code tells if it is
// one of harm, and takes itself down.
func TestNobodyReads(t *testing.T) {
	before := leftovers(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	dir := filepath.Join(t.TempDir(), "evidence")
	cmd := command(append([]string{"-v"}, small("-o", dir)...)...)
	cmd.Stdout, cmd.Stderr = w, w
	_ = cmd.Run() // its exit code is what is looked at
	w.Close()
	want := exit.Failed
	if v := record.Verdict(*expectVerdict); v.ExitCode() != exit.Clean {
		want = v.ExitCode()
	}
	if cmd.ProcessState.ExitCode() != want {
		t.Errorf("%v, want exit code %d", cmd.ProcessState, want)
	}
	if r, err := evidence.Reexamine(t.Context(), dir, workload.Scenarios().Facts, logrus.StandardLogger()); err != nil || string(r.Verdict) != *expectVerdict {
		t.Errorf("its evidence: %+v, %v", r, err)
	}
	if after := leftovers(t); after != before {
		t.Errorf("left behind:\n%s\nbefore:\n%s", after, before)
	}
}

// kprobeEvents are the lines of tracefs's list of events that have the text.
func kprobeEvents(t *testing.T, text string) []string {
	t.Helper()
	events, err := os.ReadFile("/sys/kernel/tracing/kprobe_events")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(string(events)) {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

// A killed run leaves no kprobe event, whenever it is killed, and takes away none of
// others.
func TestKillLeavesNoEvent(t *testing.T) {
	const bound = 2 * time.Second
	// The kernel that is known to lose data is the one that has to be asked by such events.
	asked := *expectVerdict == string(record.DataLost)
	had := 0
	for _, signal := range []unix.Signal{unix.SIGKILL, unix.SIGHUP} {
		// The events come at some time of the prepare phase. The last run is killed when it has one,
		// however slow the machine is.
		const none = 0
		for _, after := range []time.Duration{200, 400, 700, 1000, 1400, 2000, none} {
			if after == none && !asked {
				continue
			}
			cmd := command(small("--observe", "require", "-D", "2", "-o", filepath.Join(t.TempDir(), "killed"))...)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ours := fmt.Sprintf("umemstress_%d_", cmd.Process.Pid)
			time.Sleep(after * time.Millisecond)
			for begin := time.Now(); after == none && len(kprobeEvents(t, ours)) == 0 && time.Since(begin) < time.Minute; {
				time.Sleep(10 * time.Millisecond)
			}
			if len(kprobeEvents(t, ours)) > 0 {
				had++
			}
			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // "signal: killed"
			ended := time.Now()
			for len(kprobeEvents(t, ours)) > 0 && time.Since(ended) < bound {
				time.Sleep(50 * time.Millisecond)
			}
			if left := kprobeEvents(t, ours); len(left) > 0 {
				t.Errorf("%v after %v: %s later there still is %q", signal, after*time.Millisecond, bound, left)
			}
		}
	}
	t.Logf("killed with events: %d", had)
	if asked && had == 0 {
		t.Error("no run had an event when it was killed")
	}
}
