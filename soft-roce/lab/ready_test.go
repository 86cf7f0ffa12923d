package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestKVMLack(t *testing.T) {
	for _, tt := range []struct {
		name  string
		host  accelHost
		lacks string
	}{
		{"no virtualization, device there", fakeHost(t, "fpu sse", true), "neither vmx nor svm"},
		{"no device", fakeHost(t, "fpu vmx", false), "no such file"},
		{"Intel", fakeHost(t, "fpu vmx", true), ""},
		{"AMD", fakeHost(t, "svm fpu", true), ""},
		{"no cpuinfo", accelHost{proc: t.TempDir()}, "cpuinfo"},
	} {
		lack := tt.host.lack()
		if tt.lacks == "" && lack != nil || tt.lacks != "" && (lack == nil || !strings.Contains(lack.Reason, tt.lacks)) {
			t.Errorf("%s: %+v, want %q", tt.name, lack, tt.lacks)
		}
	}
}

func TestCannotWrite(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "file"), "")
	if err := cannotWrite(filepath.Join(dir, "a/b/c")); err != nil {
		t.Errorf("what can be made below %s: %v", dir, err)
	}
	if err := cannotWrite(filepath.Join(dir, "file/a")); err == nil || !strings.Contains(err.Error(), "file") {
		t.Errorf("below a file: %v", err)
	}
}

// The store tells what it has and where others come from, and changes nothing.
func TestKeptAndSources(t *testing.T) {
	s := &Store{Dir: t.TempDir()}
	if got := s.kept(); got != nil {
		t.Errorf("an empty store has %q", got)
	}
	if err := os.MkdirAll(filepath.Join(s.Dir, "by-name"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"5.10", "sid"} {
		if err := os.Symlink("../nowhere", filepath.Join(s.Dir, "by-name", name)); err != nil {
			t.Fatal(err)
		}
	}
	if got := fmt.Sprint(s.kept()); got != "[5.10 sid]" {
		t.Errorf("kept %s", got)
	}
	for _, tt := range []struct{ packages, want string }{
		{"", "the mirror of this machine's apt"},
		{"/srv", "package files in $" + KernelDirEnv + "; the mirror of this machine's apt"},
	} {
		s.PackageDir = tt.packages
		if got := strings.Join(s.sources(), "; "); got != tt.want {
			t.Errorf("packages in %q: %s", tt.packages, got)
		}
	}
}

// Without the programs, nothing can be started or fetched.
func TestReadinessOfNothing(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("HOME", "")
	r := FindReadiness()
	if r.CacheErr == nil || r.Cache != "" || len(r.Kept) > 0 || len(r.Sources) > 0 {
		t.Errorf("without a place for the cache: %+v", r)
	}
	if need := findNeed("no-such-tool", "its-package"); !need.Missing || need.Package != "its-package" {
		t.Errorf("%+v", need)
	}
	if need := findNeed("sh", "dash"); need.Missing {
		t.Errorf("%+v", need)
	}
}
