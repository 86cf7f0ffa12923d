package filesystem

import "testing"

func TestToolOf(t *testing.T) {
	for name, want := range map[string]string{"ext4": "mkfs.ext4 e2fsprogs", "btrfs": "mkfs.btrfs btrfs-progs", "tmpfs": " ", "none": " "} {
		if program, pkg := ToolOf(name); program+" "+pkg != want {
			t.Errorf("%s: %q %q", name, program, pkg)
		}
	}
}
