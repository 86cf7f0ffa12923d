package late

import (
	"bytes"
	"os"
	"path/filepath"
)

// There says whether this machine has the share of its monitor's, by the file system mounted on sys.
func There(sys string) bool {
	paths, _ := filepath.Glob(filepath.Join(sys, "bus/virtio/drivers/9pnet_virtio/*/mount_tag")) // a good pattern
	for _, path := range paths {
		// Kernels write the byte behind the tag, too (p9_mount_tag_show).
		if tag, err := os.ReadFile(path); err == nil && string(bytes.TrimRight(tag, "\x00\n")) == Tag {
			return true
		}
	}
	return false
}
