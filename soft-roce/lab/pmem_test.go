package lab

import (
	"strings"
	"testing"
)

// The persistent memory begins in the guest's own and leaves the initramfs its place at the end
// of the first 2 GiB.
func TestPmemArgs(t *testing.T) {
	for _, tt := range []struct {
		memory, pmem int64 // MiB
		append, want string
	}{
		{2048, 0, "quiet", "quiet"},
		{2048, 256, "quiet", "memmap=256M!1024M quiet"},
		{8192, 768, "", "memmap=768M!1024M"},
		{1024, 128, "", "memmap=128M!512M"},
		{700, 64, "", "memmap=64M!256M"},
		{256, 16, "", "memmap=16M!128M"},
	} {
		c := Config{Memory: tt.memory << 20, Pmem: tt.pmem << 20, Append: tt.append}
		if got := c.kernelArgs(); got != tt.want {
			t.Errorf("%d MiB of %d: %q, want %q", tt.pmem, tt.memory, got, tt.want)
		}
	}
}

func TestPmemSizes(t *testing.T) {
	for mib, refused := range map[int64]bool{0: false, 16: false, 256: false, 768: false, 15: true, 17: true, 769: true, 770: true, -2: true} {
		c := Config{Pmem: mib << 20}
		err := c.checkPmem()
		if (err != nil) != refused || refused && !strings.Contains(err.Error(), "choose an even number from 16 to 768") {
			t.Errorf("%d MiB: %v", mib, err)
		}
	}
}
