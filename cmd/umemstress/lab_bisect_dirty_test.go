package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"umemstress/cmd/umemstress/internal/exit"
)

// A work tree with changes that no commit has would have each step build something else than the commit
// that git checked out: the bisection ends before anything is built.
func TestBisectDirty(t *testing.T) {
	cache, tree, tools := t.TempDir(), t.TempDir(), t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	for _, path := range []string{"Makefile", "Kconfig", "scripts/kconfig/conf.c", "mm/gup.c", "fs/open.c", "kernel/fork.c", "arch/x86/Kconfig"} {
		layFile(t, filepath.Join(tree, path), "VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 0\n")
	}
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qm", "all"}} {
		if out, err := exec.Command("git", append([]string{"-C", tree}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("git %q: %v: %s", args, err, out)
		}
	}
	// The compilers are looked for, and none is used: git alone is real.
	for _, tool := range []string{"gcc", "ld", "make", "bc", "bison", "flex", "pahole", "perl", "depmod", "git"} {
		target, err := exec.LookPath(map[bool]string{true: "git", false: "true"}[tool == "git"])
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, filepath.Join(tools, tool)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", tools)
	t.Chdir(t.TempDir())
	layFile(t, filepath.Join(tree, "mm/gup.c"), "changed\n")
	for command, want := range map[string]int{"lab bisect --source ": exit.BisectEnds, "lab build --source ": exit.Usage} {
		var stdout, stderr bytes.Buffer
		code := execute(t.Context(), strings.Fields(command+tree), &stdout, &stderr)
		if code != want || stdout.Len() > 0 || strings.Count(stderr.String(), "\n") != 1 ||
			!strings.Contains(stderr.String(), "it has uncommitted changes, of mm/gup.c; commit or stash them, or build them as they are with --allow-dirty") {
			t.Errorf("%s: exit code %d, want %d: %s%s", command, code, want, &stdout, &stderr)
		}
	}
	// Nothing of it is in the store, and no directory for a run's evidence is left.
	for _, dir := range []string{".", filepath.Join(cache, "umemstress/kernels")} {
		if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) > 0 {
			t.Errorf("left behind: %q, %v", left, err)
		}
	}
}

func layFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
