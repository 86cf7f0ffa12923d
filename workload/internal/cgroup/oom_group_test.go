package cgroup

import (
	"os"
	"path/filepath"
	"testing"
)

func TestIsSet(t *testing.T) {
	file := filepath.Join(t.TempDir(), "knob")
	for content, want := range map[string]bool{"0\n": false, "1\n": true, "2\n": true} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := IsSet(file); err != nil || got != want {
			t.Errorf("%q: %v, %v", content, got, err)
		}
	}
	if _, err := IsSet(file + "s"); !os.IsNotExist(err) {
		t.Errorf("a file that is not there: %v", err)
	}
}
