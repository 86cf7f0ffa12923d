// Package worktest is what tests of several packages of workload ask of the machine and of
// errors.
package worktest

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// WantUsage wants an error of the caller's that has the text.
func WantUsage(t *testing.T, err error, text string) {
	t.Helper()
	var usage interface{ Usage() bool }
	if !errors.As(err, &usage) || !strings.Contains(err.Error(), text) {
		t.Errorf("%v: want a usage error with %q", err, text)
	}
}

// Eventually waits for something that another process does.
func Eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not come about: " + what)
		}
	}
}

// FirstError calls f until it returns an error, which is the one.
func FirstError(t *testing.T, f func() error) error {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if err := f(); err != nil {
			return err
		}
	}
	t.Fatal("no error within 10 s")
	return nil
}

// StartChild runs one test of this program with a variable in its environment, and
// returns the first line that it says.
func StartChild(t *testing.T, test, env string) (child *exec.Cmd, line string, err error) {
	t.Helper()
	child = exec.Command(os.Args[0], "-test.run=^"+test+"$")
	child.Env = append(os.Environ(), env)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line, err = bufio.NewReader(out).ReadString('\n')
	return child, line, err
}

// Left is what a holder could leave behind: descriptors, block devices in use, and modules.
func Left(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for _, pattern := range []string{"/proc/self/fd/*", "/sys/block/dm-*", "/sys/block/loop*/loop/backing_file", "/sys/module/v*sock*", "/sys/module/vmw_vmci", "/sys/module/nfs*", "/sys/module/sunrpc", "/sys/module/fuse", "/sys/module/9p*", "/sys/module/vivid", "/sys/module/v*4l2*", "/sys/module/video*"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if to, err := os.Readlink(name); err != nil || filepath.Dir(name) != "/proc/self/fd" || filepath.Dir(to) == "/dev" {
				found[name+" "+to] = true
			}
		}
	}
	return found
}

// WantLeft wants no more than what was there before, soon.
func WantLeft(t *testing.T, before map[string]bool) {
	t.Helper()
	var more []string
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		more = nil
		for name := range Left(t) {
			if !before[name] {
				more = append(more, name)
			}
		}
		if more == nil {
			return
		}
	}
	t.Errorf("left behind: %q", more)
}
