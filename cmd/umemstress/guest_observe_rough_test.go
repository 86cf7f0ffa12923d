//go:build guest

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/probes/observe"
)

// ofRegistration is the line of one that this process tried.
func ofRegistration(l observe.Line) bool {
	return l.Event == registration() && l.Owner != nil && l.Owner.PID == uint32(os.Getpid())
}

// An observer that is killed leaves no probe, and another one beside it goes on.
func TestObserveKilled(t *testing.T) {
	r := newRegistrar(t)
	self := strconv.Itoa(os.Getpid())
	one, other := beginObserving(t, "--pid", self), beginObserving(t, "--pid", self)
	r.register(t, 1)
	one.await(t, ofRegistration)
	if err := one.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = one.cmd.Wait() // it was killed
	r.register(t, 1)
	if summary, code := other.end(t); code != exit.Clean || summary.Pinned+summary.Refused != 2 || summary.Lost.Any() {
		t.Errorf("the other one: exit code %d, %+v", code, summary)
	}
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		left := kprobeEvents(t, "umemstress")
		if len(left) == 0 {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("left %q", left)
		}
	}
}

// Who is in a cgroup, or below it, is seen as long as it is; who is not, is not.
func TestObserveCgroup(t *testing.T) {
	const root = "/sys/fs/cgroup"
	group := filepath.Join(root, "umemstress-observed")
	below := filepath.Join(group, "below")
	move := func(to string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(to, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	was := root + strings.TrimSpace(strings.TrimPrefix(readFile(t, "/proc/self/cgroup"), "0::"))
	if err := os.MkdirAll(below, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		move(was)
		for _, dir := range []string{below, group} {
			if err := os.Remove(dir); err != nil {
				t.Error(err)
			}
		}
	})
	r := newRegistrar(t)
	o := beginObserving(t, "--cgroup", "/umemstress-observed")
	r.register(t, 4)
	move(below)
	r.register(t, 2)
	l := o.await(t, ofRegistration)
	if l.Owner.Cgroup != "/umemstress-observed/below" {
		t.Errorf("%+v", l.Owner)
	}
	move(was)
	r.register(t, 8)
	if summary, code := o.end(t); code != exit.Clean || summary.Pinned+summary.Refused != 2 {
		t.Errorf("exit code %d, %+v", code, summary)
	}
}

// Where the journal's disk is full the observer says so once, goes on, and fails in the end.
func TestObserveJournalFullDisk(t *testing.T) {
	r := newRegistrar(t)
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=128k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	var log bytes.Buffer
	lines := filepath.Join(t.TempDir(), "lines")
	out, err := os.Create(lines)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := startObserving(t, out, &log, "--journal", filepath.Join(dir, "journal"), "--pid", strconv.Itoa(os.Getpid()))
	awaitText(t, lines, `"started"`)
	ballast, err := os.Create(filepath.Join(dir, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	defer ballast.Close()
	for err == nil {
		_, err = ballast.Write(make([]byte, 4096))
	}
	r.register(t, 1)
	awaitText(t, lines, `"event":"`+registration()+`"`)
	time.Sleep(2 * time.Second) // of sums that are not written either
	r.register(t, 1)
	if err := cmd.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // the exit code says more
	if code := cmd.ProcessState.ExitCode(); code != exit.Failed || strings.Count(log.String(), "what happens from now on is not in it") != 1 || !strings.Contains(log.String(), "no space left on device") {
		t.Errorf("exit code %d: %s", code, log.String())
	}
	all := linesOf(t, lines)
	if last := all[len(all)-1]; last.Event != observe.Ended || last.Summary.Pinned+last.Summary.Refused != 2 {
		t.Errorf("%+v", last)
	}
}
