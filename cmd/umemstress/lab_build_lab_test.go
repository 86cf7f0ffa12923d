//go:build lab

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/workload/record"
)

// These build kernels from Debian's source, which takes minutes the first time and less than one later:
// 'make fixes' has them, and 'make test' has not.

// program builds the command, since a guest runs the program that boots it.
func program(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "umemstress")
	build := exec.Command("go", "build", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, out)
	}
	return path
}

// does runs the program to its end.
func does(t *testing.T, program string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return out.String(), log.String(), cmd.ProcessState.ExitCode()
}

// A kernel that was built is in the store by its name, boots, and is not built again.
func TestLabBuild(t *testing.T) {
	umemstress := program(t)
	interruptedBuild(t, umemstress)
	for again := range 2 {
		stdout, stderr, code := does(t, umemstress, "lab", "build", "--source", "5.10", "--format", "json")
		if code != 0 {
			t.Fatalf("exit code %d: %s", code, stderr)
		}
		var built buildReport
		if err := json.Unmarshal([]byte(stdout), &built); err != nil {
			t.Fatalf("%v in %s", err, stdout)
		}
		if built.Name != "5.10-built" || !regexp.MustCompile(`^5\.10\.[0-9]+-built$`).MatchString(built.Release) {
			t.Fatalf("%+v", built)
		}
		t.Logf("%.0f s, %.0f s of processors", built.Seconds, built.CPUSeconds)
		if again == 0 {
			if !strings.Contains(stderr, "was interrupted; going on where it was") {
				t.Errorf("it does not go on where it was: %s", stderr)
			}
			if strings.Contains(stderr, "does not keep") {
				t.Errorf("it lacks what scenarios need: %s", stderr)
			}
			continue
		}
		if !strings.Contains(stderr, "is in the store as it would be built") {
			t.Errorf("it is built again: %s", stderr)
		}
		release, stderr, code := does(t, umemstress, "lab", "exec", "--kernel", built.Name, "--cpus", "1", "--timeout", "2m", "--", "uname", "-r")
		if code != 0 || strings.TrimSpace(release) != built.Release {
			t.Errorf("it boots as %q, exit code %d: %s", release, code, stderr)
		}
	}
}

// harmless is a change that has one thing compiled, or all that was not yet.
const harmless = `--- a/fs/ext4/Makefile
+++ b/fs/ext4/Makefile
@@ -1,3 +1,4 @@
+ccflags-y += -DHARMLESS
 # SPDX-License-Identifier: GPL-2.0
 #
 # Makefile for the linux ext4-filesystem routines.
`

// interruptedBuild is a build that Ctrl-C ends: nothing of it is in the store, and nothing goes on.
func interruptedBuild(t *testing.T, umemstress string) {
	t.Helper()
	patch := filepath.Join(t.TempDir(), "harmless.patch")
	if err := os.WriteFile(patch, []byte(harmless), 0o644); err != nil {
		t.Fatal(err)
	}
	const name = "interrupted"
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(umemstress, "lab", "build", "--source", "5.10", "--patch", patch, "--name", name)
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	says := func() string {
		text, err := os.ReadFile(log.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for !strings.Contains(says(), "compiling with ") {
		select {
		case err := <-ended:
			t.Fatalf("it ended before it compiled: %v: %s", err, says())
		case <-time.After(100 * time.Millisecond):
		}
	}
	if err := cmd.Process.Signal(unix.SIGINT); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		cmd.Process.Kill()
		t.Fatalf("it does not end: %s", says())
	}
	if code := cmd.ProcessState.ExitCode(); code != 130 || !strings.HasSuffix(says(), "umemstress: interrupted\n") {
		t.Errorf("interrupted, it ends in exit code %d: %s", code, says())
	}
	if list, _, _ := does(t, umemstress, "lab", "kernels"); strings.Contains(list, name) {
		t.Errorf("what was interrupted is in the store:\n%s", list)
	}
	if out, _ := exec.Command("pgrep", "-fl", "LOCALVERSION=-"+name).Output(); len(out) > 0 {
		t.Errorf("processes of it go on: %s", out)
	}
}

// A kernel that was built has what the holders and file systems take that are not in every kernel: each
// of them ends there as on Debian's.
func TestLabBuildRuns(t *testing.T) {
	umemstress := program(t)
	if _, stderr, code := does(t, umemstress, "lab", "build", "--source", "5.10"); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	for scenario, want := range map[string]record.Verdict{
		"rdma/f2fs/pageout/none":           record.Clean,
		"rdma/ocfs2/none/reflink":          record.Corrupted,
		"rdma/ext4-dm-crypt/pageout/none":  record.DataLost,
		"rdma/ext4-encrypted/pageout/none": record.DataLost,
		"nfs/ext4/pageout/none":            record.DataLost,
		"vmci/ext4/pageout/none":           record.DataLost,
		"v4l2/ext4/pageout/none":           record.DataLost,
		"uring/xfs/none/reflink":           record.Corrupted,
	} {
		evidence := filepath.Join(t.TempDir(), "evidence")
		stdout, stderr, code := does(t, umemstress, "lab", "run", "--kernel", "5.10-built", "--cpus", "1", "--timeout", "3m", "--", "--scenario", scenario, "--output", evidence)
		if code != want.ExitCode() {
			t.Errorf("%s: exit code %d, want %d, %s: %s%s", scenario, code, want.ExitCode(), want, stdout, stderr)
		}
		verdict, _, _ := strings.Cut(stdout, "\n")
		t.Logf("%s: %s", scenario, verdict)
	}
}
