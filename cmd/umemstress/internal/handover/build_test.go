package handover

import (
	"debug/buildinfo"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
)

// repository is one of a program that does nothing.
type repository struct {
	*testing.T
	dir string
}

func newRepository(t *testing.T) repository {
	r := repository{t, t.TempDir()}
	r.write("go.mod", "module nothing\n\ngo 1.26\n")
	r.write("main.go", "package main\n\nimport \"fmt\"\n\nvar version = \"devel\"\n\nfunc main() { fmt.Println(\"umemstress version\", version) }\n")
	r.do("git", "init", "--quiet")
	r.commit()
	return r
}

func (r repository) write(name, text string) {
	r.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o644); err != nil {
		r.Fatal(err)
	}
}

func (r repository) do(name string, args ...string) {
	r.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GOFLAGS=", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		r.Fatalf("%s %q: %v: %s", name, args, err, out)
	}
}

func (r repository) commit() {
	r.Helper()
	r.do("git", "add", "--all")
	r.do("git", "-c", "user.name=nobody", "-c", "user.email=nobody@example.org", "commit", "--quiet", "--message", "more")
}

// build builds what is there.
func (r repository) build(name string, flags ...string) string {
	r.Helper()
	path := filepath.Join(r.TempDir(), name)
	r.do("go", append(append([]string{"build", "-trimpath"}, flags...), "-o", path, ".")...)
	return path
}

// A program of another commit, or of a source that was changed since, is refused; one of the same passes, however it was built, and so
// does one of which nobody knows.
func TestOfSameBuild(t *testing.T) {
	r := newRepository(t)
	own, err := buildinfo.ReadFile(r.build("umemstress", "-buildvcs=true"))
	if err != nil {
		t.Fatal(err)
	}
	same := r.build(Program, "-buildvcs=true", "-tags", "ibverbs")
	unknown := r.build(Program, "-buildvcs=false")
	r.write("more.go", "package main\n")
	changed := r.build(Program, "-buildvcs=true")
	r.commit()
	next := r.build(Program, "-buildvcs=true")
	for _, path := range []string{same, unknown} {
		if err := ofSameBuild(path, own, unknown); err != nil {
			t.Error(err)
		}
	}
	none := filepath.Join(t.TempDir(), Program)
	if err := os.WriteFile(none, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		next:    "it is of another build, of commit ",
		changed: commitOf(own) + " with changes, and this program of " + commitOf(own) + ";",
		none:    "it does not say of which build it is",
	} {
		err := ofSameBuild(path, own, unknown)
		var lacks interface{ HostLacks() bool }
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) || !errors.As(err, &lacks) || !lacks.HostLacks() {
			t.Errorf("%v, want %q", err, want)
		}
	}
	info, err := buildinfo.ReadFile(unknown)
	if err != nil {
		t.Fatal(err)
	}
	if err := ofSameBuild(next, info, unknown); err != nil {
		t.Errorf("by a program that does not know its own commit: %v", err)
	}
}

// Of two that do not say of which commit they are, the versions are compared, which the programs themselves tell.
func TestOfSameVersion(t *testing.T) {
	r := newRepository(t)
	build := func(version string) string {
		return r.build(Program, "-buildvcs=false", "-ldflags", "-X main.version="+version)
	}
	v1, v2, none := build("v1-2-g3"), build("v2"), r.build(Program, "-buildvcs=false")
	for path, version := range map[string]string{v1: "v1-2-g3", v2: unknown, none: "v1-2-g3"} {
		if err := ofSameBuild(path, &debug.BuildInfo{}, version); err != nil {
			t.Errorf("%s: %v", version, err)
		}
	}
	err := ofSameBuild(v2, &debug.BuildInfo{}, "v1-2-g3")
	var lacks interface{ HostLacks() bool }
	if want := "it is of another build, of version v2, and this program of v1-2-g3; build both"; err == nil || !strings.Contains(err.Error(), want) || !errors.As(err, &lacks) || !lacks.HostLacks() {
		t.Errorf("%v, want %q", err, want)
	}
}
