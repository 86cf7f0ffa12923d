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
	"slices"
	"strings"
	"testing"
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
		if inStore := strings.Contains(stderr, "is in the store as it would be built"); again == 1 && !inStore {
			t.Errorf("it is built again: %s", stderr)
		}
		t.Logf("%.0f s, %.0f s of processors", built.Seconds, built.CPUSeconds)
		if again == 0 {
			continue
		}
		release, stderr, code := does(t, umemstress, "lab", "exec", "--kernel", built.Name, "--cpus", "1", "--timeout", "2m", "--", "uname", "-r")
		if code != 0 || strings.TrimSpace(release) != built.Release {
			t.Errorf("it boots as %q, exit code %d: %s", release, code, stderr)
		}
	}
}

// notCompiled is a change with which no kernel builds.
const notCompiled = `--- a/fs/ext4/Makefile
+++ b/fs/ext4/Makefile
@@ -1,4 +1,5 @@
 # SPDX-License-Identifier: GPL-2.0
 #
 # Makefile for the linux ext4-filesystem routines.
 #
+obj-y += not-there.o
`

// A step of a bisection builds, boots, runs and answers: good with the fix, bad without it, and skip
// where the kernel does not build.
func TestLabBisectStep(t *testing.T) {
	umemstress, dir := program(t), t.TempDir()
	patch := filepath.Join(dir, "broken.patch")
	if err := os.WriteFile(patch, []byte(notCompiled), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		change []string
		code   int
		line   string
	}{
		{"with the fix", nil, 0, `^good: data-lost: msync and fsync returned 0, yet 1024 of 1024 pages`},
		{"without it", []string{"--without-fix", "cc5095747edf"}, 1, `^bad: crashed: the (kernel|machine) died in a thread of this run: kernel BUG at fs/ext4/inode.c`},
		{"broken", []string{"--patch", patch}, 125, `^skip: it does not build: .*not-there`},
	} {
		evidence := filepath.Join(dir, strings.ReplaceAll(c.name, " ", "-"))
		line := slices.Concat([]string{"lab", "bisect", "--source", "5.10", "--good", "data-lost", "--bad", "crashed", "--cpus", "1", "--timeout", "3m"}, c.change,
			[]string{"--", "--preset", "quick", "--file-size", "4M", "--anon-size", "4M", "--output", evidence})
		stdout, stderr, code := does(t, umemstress, line...)
		if code != c.code || !regexp.MustCompile(c.line).MatchString(stdout) || strings.Count(stdout, "\n") != 1 {
			t.Errorf("%s: exit code %d, %q; want %d and a line like %s: %s", c.name, code, stdout, c.code, c.line, stderr)
		}
		t.Logf("%s: %s", c.name, strings.TrimSpace(stdout))
	}
}
