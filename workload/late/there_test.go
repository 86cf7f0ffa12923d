package late

import (
	"os"
	"path/filepath"
	"testing"
)

// The share is known by its tag, with or without what kernels write behind it.
func TestThere(t *testing.T) {
	for tag, want := range map[string]bool{"umemstress-late": true, "umemstress-late\x00": true, "umemstress-later": false, "hostroot\x00": false, "": false} {
		sys := t.TempDir()
		dir := filepath.Join(sys, "bus/virtio/drivers/9pnet_virtio/virtio3")
		must(t, os.MkdirAll(dir, 0o755))
		must(t, os.WriteFile(filepath.Join(dir, "mount_tag"), []byte(tag), 0o444))
		if got := There(sys); got != want {
			t.Errorf("%q: %v", tag, got)
		}
	}
	if There(t.TempDir()) {
		t.Error("a machine without the driver has the share")
	}
}
