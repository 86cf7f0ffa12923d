// Package labtest has what the tests of several of the lab's packages need.
package labtest

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// WriteFile writes a file that the test stands on.
func WriteFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// QEMUs lists the processes of QEMU with a marker on their command line.
func QEMUs(t *testing.T, marker string) []string {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, path := range lines {
		line, err := os.ReadFile(path)
		if err != nil {
			continue // it has just ended
		}
		if bytes.Contains(line, []byte("qemu-system")) && bytes.Contains(line, []byte(marker)) {
			found = append(found, filepath.Base(filepath.Dir(path)))
		}
	}
	return found
}
