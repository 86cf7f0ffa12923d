//go:build lab

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// notCompiled is a change with which no kernel builds.
const notCompiled = `--- a/fs/ext4/Makefile
+++ b/fs/ext4/Makefile
@@ -1,3 +1,4 @@
+obj-y += not-there.o
 # SPDX-License-Identifier: GPL-2.0
 #
 # Makefile for the linux ext4-filesystem routines.
`

// notApplied is a change to what no kernel has there.
const notApplied = `--- a/fs/ext4/Makefile
+++ b/fs/ext4/Makefile
@@ -1 +1 @@
-not there
+there
`

// A step of a bisection builds, boots, runs and answers: good with the fix, bad without it, and skip
// where there is no kernel to run.
func TestLabBisectStep(t *testing.T) {
	umemstress, dir := program(t), t.TempDir()
	broken, other := filepath.Join(dir, "broken.patch"), filepath.Join(dir, "other.patch")
	for path, text := range map[string]string{broken: notCompiled, other: notApplied} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name   string
		change []string
		code   int
		line   string
	}{
		{"with the fix", nil, 0, `^good: data-lost: msync and fsync returned 0, yet 1024 of 1024 pages`},
		{"without it", []string{"--without-fix", "cc5095747edf"}, 1, `^bad: crashed: the (kernel|machine) died in a thread of this run: kernel BUG at fs/ext4/inode.c`},
		{"broken", []string{"--patch", broken}, 125, `^skip: it does not build: .*not-there`},
		{"not applied", []string{"--patch", other}, 125, `^skip: it does not build: --patch .*other\.patch does not apply to this source in fs/ext4/Makefile: `},
	} {
		evidence := filepath.Join(dir, strings.ReplaceAll(c.name, " ", "-"))
		line := slices.Concat([]string{"lab", "bisect", "--source", "5.10", "--good", "data-lost", "--bad", "crashed", "--cpus", "1", "--timeout", "3m"}, c.change,
			[]string{"--", "--preset", "quick", "--file-size", "4M", "--anon-size", "4M", "--output", evidence})
		stdout, stderr, code := does(t, umemstress, line...)
		if code != c.code || !regexp.MustCompile(c.line).MatchString(stdout) || strings.Count(stdout, "\n") != 1 {
			t.Errorf("%s: exit code %d, %q; want %d and a line like %s: %s", c.name, code, stdout, c.code, c.line, stderr)
		}
		if _, err := os.Stat(evidence); (err == nil) != (c.code != 125) {
			t.Errorf("%s: evidence: %v", c.name, err)
		}
		t.Logf("%s: %s", c.name, strings.TrimSpace(stdout))
	}
}
