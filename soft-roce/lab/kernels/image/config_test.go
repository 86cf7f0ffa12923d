package image

import (
	"path/filepath"
	"strings"
	"testing"

	"umemstress/soft-roce/lab/internal/labtest"
)

// The configuration of a kernel that has it within is found anywhere in it, and what only
// looks like one is not.
func TestBuiltInConfig(t *testing.T) {
	config := strings.Repeat("CONFIG_A=y\n# CONFIG_B is not set\n", 1000)
	for _, before := range []int{0, 1, 1<<20 - 15, 1<<20 - 5, 1 << 20, 3 << 20} {
		path := filepath.Join(t.TempDir(), "vmlinux")
		labtest.WriteFile(t, path, strings.Repeat("x", before)+labtest.IKConfig(t, config)+strings.Repeat("y", 100))
		if got, err := Config(path); err != nil || string(got) != config {
			t.Errorf("after %d bytes: %d bytes, %v", before, len(got), err)
		}
	}
	for _, none := range []string{"", "IKCFG_ST", "IKCFG_ST\x1f\x8b", "IKCFG_ST\x1f\x8bjunk and more of it", labtest.IKConfig(t, config)[:100], strings.Repeat("z", 2<<20)} {
		path := filepath.Join(t.TempDir(), "vmlinux")
		labtest.WriteFile(t, path, none)
		if got, err := Config(path); err != nil || len(got) != 0 {
			t.Errorf("of %d bytes: %q, %v", len(none), got, err)
		}
	}
}
