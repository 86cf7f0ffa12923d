//go:build faults

package faults

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// These tests kill and damage what the lab does on this host. They need what 'make faults'
// installs, the kernel 5.10 in the cache, a mirror, and root or user namespaces.

const kernelName = "5.10"

// store is the user's own store of kernels, which is only read.
func store(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(cache, "umemstress/kernels")
}

// linkedCache is a cache of the test's own with the kernel in it. What is small is a copy, which
// can be damaged; the modules are the very files of the user's cache, where that can be. It
// returns the directory for XDG_CACHE_HOME, and that of the kernel.
func linkedCache(t *testing.T) (cache, kernel string) {
	t.Helper()
	from, err := filepath.EvalSymlinks(filepath.Join(store(t), "by-name", kernelName))
	if err != nil {
		t.Fatalf("%v; fetch it with: umemstress lab kernels --fetch %s", err, kernelName)
	}
	cache = t.TempDir()
	kernels := filepath.Join(cache, "umemstress/kernels")
	kernel = filepath.Join(kernels, filepath.Base(from))
	makeDir(t, filepath.Join(kernels, "by-name"))
	symlink(t, "../"+filepath.Base(from), filepath.Join(kernels, "by-name", kernelName))
	err = filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(kernel, strings.TrimPrefix(path, from))
		switch module := strings.HasPrefix(path, filepath.Join(from, "lib")); {
		case entry.IsDir():
			makeDir(t, to)
			return nil
		case !entry.Type().IsRegular(), module && os.Link(path, to) == nil:
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(to, content, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	return cache, kernel
}

func symlink(t *testing.T, target, name string) {
	t.Helper()
	if err := os.Symlink(target, name); err != nil {
		t.Fatal(err)
	}
}

// files are all that is below a directory, but for locks and what a look at the mirror leaves.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && entry.Name() == "apt" {
			return fs.SkipDir
		}
		if entry.Name() != ".lock" && path != dir {
			found = append(found, strings.TrimPrefix(path, dir+"/"))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// marker is in the environment of a process under test, and so in that of its children.
const marker = "UMEMSTRESS_FAULTS"

// family is the value of a marker that no other process has.
func family() string { return rand.Text() }

// left waits until no process with the marker is there, and returns the command lines of
// those that are there all the same.
func left(family string) []string {
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		found := marked(family)
		if len(found) == 0 || time.Now().After(deadline) {
			return found
		}
	}
}

func marked(family string) []string {
	var found []string
	for _, pid := range members(family) {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)) // empty: it has ended
		found = append(found, short(strings.ReplaceAll(string(bytes.TrimRight(line, "\x00")), "\x00", " ")))
	}
	return found
}

func members(family string) []int {
	environments, _ := filepath.Glob("/proc/[0-9]*/environ") // the pattern is good
	var found []int
	for _, path := range environments {
		environment, err := os.ReadFile(path)
		if err != nil || !slices.Contains(strings.Split(string(environment), "\x00"), marker+"="+family) {
			continue // it has ended, or is another
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
			found = append(found, pid)
		}
	}
	return found
}

// end ends the processes of the family that are left, so that the next test has none of them.
func end(family string) {
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		pids := members(family)
		if len(pids) == 0 {
			return
		}
		for _, pid := range pids {
			_ = unix.Kill(pid, unix.SIGKILL) // it may have ended
		}
	}
}

// endings are the signals that end a program.
var endings = []unix.Signal{unix.SIGKILL, unix.SIGHUP, unix.SIGTERM, unix.SIGINT}

// interrupted says what is wrong with how a program ended of one of them; empty: nothing.
func interrupted(p *process, signal unix.Signal) string {
	const exitInterrupted = 130
	switch {
	case crash(p.stderr.String()) != "":
		return "it died of itself"
	case signal == unix.SIGKILL && p.killedBy() == unix.SIGKILL, p.killedBy() == signal && p.stderr.String() == "": // before it ran
		return ""
	case p.code() != exitInterrupted:
		return "it did not end as interrupted"
	}
	return wrongSentence(p.stderr.String())
}
