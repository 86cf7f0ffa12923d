package kernels

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The store tells what it has and where others come from, and changes nothing.
func TestKeptAndSources(t *testing.T) {
	s := &Store{Dir: t.TempDir()}
	if got := s.Kept(); got != nil {
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
	if got := fmt.Sprint(s.Kept()); got != "[5.10 sid]" {
		t.Errorf("kept %s", got)
	}
	for _, tt := range []struct{ packages, want string }{
		{"", "the mirror of this machine's apt"},
		{"/srv", "package files in $" + PackageDirEnv + "; the mirror of this machine's apt"},
	} {
		s.PackageDir = tt.packages
		if got := strings.Join(s.Sources(), "; "); got != tt.want {
			t.Errorf("packages in %q: %s", tt.packages, got)
		}
	}
}

// Where apt is told of no mirror, nothing can be fetched from one.
func TestHasSources(t *testing.T) {
	for _, tt := range []struct {
		file, text string
		want       bool
	}{
		{"sources.list", "# deb http://mirror.example/debian bookworm main\n", false},
		{"sources.list", "deb http://mirror.example/debian bookworm main\n", true},
		{"sources.list.d/debian.sources", "Types: deb\nURIs: http://mirror.example/debian\n", true},
		{"sources.list.d/empty.sources", "Types: deb\n", false},
		{"sources.list.d/own.list", "\n  deb [arch=amd64] http://mirror.example/debian sid main\n", true},
		{"sources.list.d/old.list.save", "deb http://mirror.example/debian sid main\n", false},
	} {
		etc := t.TempDir()
		if err := os.MkdirAll(filepath.Join(etc, "sources.list.d"), 0o755); err != nil {
			t.Fatal(err)
		}
		if hasSources(etc) {
			t.Error("nothing is a source")
		}
		if err := os.WriteFile(filepath.Join(etc, tt.file), []byte(tt.text), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := hasSources(etc); got != tt.want {
			t.Errorf("%s with %q: %v", tt.file, tt.text, got)
		}
	}
}
