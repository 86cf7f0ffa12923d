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
