package child

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestFind(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	program := filepath.Join(dir, "umemstress-tool")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if path, err := Find("umemstress-tool"); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("what is not executable is found: %s, %v", path, err)
	}
	if err := os.Chmod(program, 0o755); err != nil {
		t.Fatal(err)
	}
	if path, err := Find("umemstress-tool"); err != nil || path != program {
		t.Errorf("in PATH: %s, %v", path, err)
	}
	// Every Debian has it, and not in an ordinary user's PATH.
	if path, err := Find("ldconfig"); err != nil || filepath.Base(filepath.Dir(path)) != "sbin" {
		t.Errorf("beyond PATH: %s, %v", path, err)
	}
}
