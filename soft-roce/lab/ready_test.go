package lab

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"umemstress/soft-roce/lab/internal/host"
)

func TestCannotWrite(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := cannotWrite(filepath.Join(dir, "a/b/c")); err != nil {
		t.Errorf("what can be made below %s: %v", dir, err)
	}
	if err := cannotWrite(filepath.Join(dir, "file/a")); err == nil || !strings.Contains(err.Error(), "file") {
		t.Errorf("below a file: %v", err)
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
	if need := findNeed("no-such-tool"); !need.Missing || need.Package != "no-such-tool" {
		t.Errorf("%+v", need)
	}
	if need := findNeed(host.Shell); need.Missing {
		t.Errorf("%+v", need)
	}
}
