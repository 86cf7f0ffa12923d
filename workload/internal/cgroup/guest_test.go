//go:build guest

package cgroup

import (
	"os"
	"path/filepath"
	"testing"
)

// Two runs at a time do not take the memory controller from each other.
func TestTwoCgroups(t *testing.T) {
	first, err := New()
	if err != nil {
		t.Fatal(err)
	}
	second, err := New()
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Enter(); err != nil {
		t.Error(err)
	}
	if err := second.Enter(); err == nil {
		t.Error("this process is in two groups")
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	if _, err := second.Usage(); err != nil {
		t.Errorf("the second lost its controller: %v", err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	// The controller is left enabled: the second found it so.
	if left, err := filepath.Glob("/sys/fs/cgroup/umemstress-*"); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
	if err := os.WriteFile("/sys/fs/cgroup/cgroup.subtree_control", []byte("-memory"), 0); err != nil {
		t.Error(err)
	}
}
