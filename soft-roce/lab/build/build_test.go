package build

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"umemstress/soft-roce/lab/internal/labtest"
	"umemstress/soft-roce/lab/kernels"
)

// isUsage tells whether an error is the caller's, and says all the words.
func isUsage(err error, says ...string) bool {
	var usage interface{ Usage() bool }
	if !errors.As(err, &usage) || strings.Contains(err.Error(), "\n") {
		return false
	}
	for _, word := range says {
		if !strings.Contains(err.Error(), word) {
			return false
		}
	}
	return true
}

// lay makes files below a directory.
func lay(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for path, content := range files {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		labtest.WriteFile(t, path, content)
	}
}

// kernelTree is as much of a kernel's source as is looked for.
func kernelTree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	lay(t, dir, map[string]string{
		"Makefile": "# SPDX-License-Identifier: GPL-2.0\nVERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 0\nEXTRAVERSION = -rc3\nNAME = none\n",
		"Kconfig":  "", "scripts/kconfig/conf.c": "", "mm/gup.c": "int gup;\n", "fs/open.c": "", "kernel/fork.c": "",
		"arch/x86/Kconfig": "config X86\n", ".gitignore": "*.o\n.config\n",
	})
	return dir
}

func run(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v: %s", name, args, err, out)
	}
}

func TestCheckTree(t *testing.T) {
	if version, err := checkTree(kernelTree(t)); err != nil || version != "6.12.0-rc3" {
		t.Errorf("checkTree = %q, %v", version, err)
	}
	for says, spoil := range map[string]func(dir string) error{
		"not the source of a Linux kernel: there is no Makefile": func(dir string) error { return os.Remove(filepath.Join(dir, "Makefile")) },
		"no Makefile with VERSION":                               func(dir string) error { return os.WriteFile(filepath.Join(dir, "Makefile"), []byte("all:\n"), 0o644) },
		"there is no scripts/kconfig":                            func(dir string) error { return os.RemoveAll(filepath.Join(dir, "scripts")) },
		"no arch/x86 (but arm64)": func(dir string) error {
			return os.Rename(filepath.Join(dir, "arch/x86"), filepath.Join(dir, "arch/arm64"))
		},
		"configured for arm64": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, ".config"), []byte("#\n# Automatically generated file; DO NOT EDIT.\n# Linux/arm64 6.12.0 Kernel Configuration\n"), 0o644)
		},
		"no such directory": os.RemoveAll,
	} {
		dir := kernelTree(t)
		if err := spoil(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := checkTree(dir); !isUsage(err, "--source "+dir, says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}

// A directory's source is what git tracks there, and of a dirty one nothing or all of it.
func TestOwnSource(t *testing.T) {
	dir := kernelTree(t)
	lay(t, dir, map[string]string{"mm/gup.o": "made", "mm/.gup.o.cmd": "made", "vmlinux.o": "", "arch/x86/kernel/vmlinux.lds.S": "", "include/generated/a.h": "made", "debian/rules": "", "mm/debian": "", "notes": "untracked"})
	plain, err := ownSource(t.Context(), dir, false)
	if err != nil || plain.full != "6.12.0-rc3" || len(plain.files) != 11 {
		t.Errorf("without git: %+v, %v", plain, err)
	}
	for _, path := range []string{"notes", "include", "debian", "mm/debian", "mm/.gup.o.cmd", "vmlinux.o", "arch/x86/kernel"} {
		if err := os.RemoveAll(filepath.Join(dir, path)); err != nil {
			t.Fatal(err)
		}
	}
	run(t, dir, "git", "init", "-q")
	run(t, dir, "git", "add", ".")
	run(t, dir, "git", "commit", "-qm", "all")
	lay(t, dir, map[string]string{"notes": "untracked"})
	clean, err := ownSource(t.Context(), dir, false)
	if err != nil || len(clean.files) != 8 || !strings.HasPrefix(clean.full, "6.12.0-rc3+g") {
		t.Errorf("clean: %+v, %v", clean, err)
	}
	lay(t, dir, map[string]string{"mm/gup.c": "int gup = 1;\n"})
	if _, err := ownSource(t.Context(), dir, false); !isUsage(err, "uncommitted changes", "mm/gup.c", "--allow-dirty") {
		t.Errorf("dirty: %v", err)
	}
	dirty, err := ownSource(t.Context(), dir, true)
	if err != nil || len(dirty.files) != 9 || !strings.HasSuffix(dirty.full, "-dirty") || dirty.state == clean.state {
		t.Errorf("dirty, allowed: %+v, %v", dirty, err)
	}
}

func TestPlan(t *testing.T) {
	dir := kernelTree(t)
	t.Chdir(t.TempDir())
	lay(t, ".", map[string]string{
		"a.patch": "--- a/mm/gup.c\n+++ b/mm/gup.c\n@@ -1 +1 @@\n-int gup;\n+int gap;\n", "text": "no patch\n",
		"a.cocci": "@@ @@\n- gup\n+ gap\n", "a.config": "CONFIG_KASAN=y\n", "bad.config": "CONFIG_KASAN\n",
	})
	for _, tt := range []struct {
		options     Options
		name, local string
	}{
		{Options{Source: "5.10"}, "5.10-built", "-built"},
		{Options{Source: "5.10", Without: []string{"cc5095747"}}, "5.10-without-cc5095747edf", "-without-cc5095747edf"},
		{Options{Source: "5.10.262", Patches: []string{"a.patch"}}, "5.10.262-patched", "-patched"},
		{Options{Source: dir, Semantic: []string{"a.cocci"}, Name: "my-fix"}, "my-fix", "-my-fix"},
		{Options{Source: dir}, filepath.Base(dir) + "-built", "-built"},
	} {
		p, err := newPlan(tt.options)
		if err != nil || p.Name != tt.name || p.local() != tt.local {
			t.Errorf("%+v: %+v, %v", tt.options, p, err)
		}
	}
	for says, o := range map[string]Options{
		"--jobs -1":                     {Source: "5.10", Jobs: -1},
		"give the directory":            {Source: "latest"},
		"--source 5.10 --without-fix":   {Source: "5.10-unfixed"},
		"no such directory":             {Source: "./nowhere"},
		"--fetch":                       {Source: dir, Fresh: true},
		"--allow-dirty":                 {Source: "5.10", AllowDirty: true},
		"choose 8ac268436e6d, cc509574": {Source: "5.10", Without: []string{"c0ffee1"}},
		`"CC5095747EDF"`:                {Source: "5.10", Without: []string{"CC5095747EDF"}},
		"named twice":                   {Source: "5.10", Without: []string{"cc5095747edf", "cc5095747edff2"}},
		"--patch none: no such file":    {Source: "5.10", Patches: []string{"none"}},
		"--patch .: it is no file":      {Source: "5.10", Patches: []string{"."}},
		"--patch text: it is no patch":  {Source: "5.10", Patches: []string{"text"}},
		"text: it has no rule":          {Source: "5.10", Semantic: []string{"text"}},
		"bad.config:1":                  {Source: "5.10", Config: []string{"a.config", "bad.config"}},
		"--name sid":                    {Source: "5.10", Name: "sid"},
	} {
		if p, err := newPlan(o); !isUsage(err, says) {
			t.Errorf("%s: %+v, %v", says, p, err)
		}
	}
}

// What a host lacks is named in one sentence, with the packages that have it.
func TestCheckTools(t *testing.T) {
	if err := checkTools(t.Context()); err != nil {
		t.Log("here: ", err) // a host that cannot build a kernel runs this test as well
	}
	t.Setenv("PATH", t.TempDir())
	err := checkTools(t.Context(), "spatch", "patch")
	var lacks interface{ HostLacks() bool }
	if !errors.As(err, &lacks) {
		t.Fatal(err)
	}
	for _, word := range []string{"lacks gcc, ld, make, bc, bison, flex, pahole", "install gcc", "dwarves", "coccinelle", "patch'"} {
		if word == "install gcc" {
			word = "--no-install-recommends gcc binutils make bc bison flex dwarves"
		}
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q is not in: %v", word, err)
		}
	}
}

// A build is refused before anything is made for it.
func TestBuildRefusesEarly(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	store, err := kernels.DefaultStore()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Build(t.Context(), store, Options{Source: t.TempDir()}); !isUsage(err, "not the source of a Linux kernel") {
		t.Error(err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := Build(t.Context(), store, Options{Source: kernelTree(t)}); err == nil || !strings.Contains(err.Error(), "lacks gcc") {
		t.Error(err)
	}
	if left, err := os.ReadDir(cache); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
