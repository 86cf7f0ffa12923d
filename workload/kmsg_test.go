package workload

import "testing"

func TestParseKmsg(t *testing.T) {
	got, err := parseKmsg([]byte("4,1234,12616193,-,caller=T152;EXT4-fs warning: 8182 callbacks suppressed\n SUBSYSTEM=block\n"))
	if want := "[   12.616193] EXT4-fs warning: 8182 callbacks suppressed"; err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	for _, bad := range []string{"", "no prefix", "4,5;text", "4,5,notanumber,-;text"} {
		if _, err := parseKmsg([]byte(bad)); err == nil {
			t.Errorf("%q was taken for a record", bad)
		}
	}
}

// The lines are those of stock kernels 5.10 and 6.1.
func TestKmsgCounter(t *testing.T) {
	c := kmsgCounter{device: "loop0"}
	for _, line := range []string{
		"[   12.615923] WARNING: CPU: 1 PID: 152 at fs/ext4/inode.c:3707 ext4_set_page_dirty+0x48/0x50 [ext4]",
		"[   12.700000] EXT4-fs warning (device loop0): mpage_prepare_extent_to_map:2687: inode #12: comm umemstress: page 0 does not have buffers attached",
		"[   12.700000] EXT4-fs warning (device loop1): mpage_prepare_extent_to_map:2687: inode #12: comm other: page 0 does not have buffers attached",
		"[   21.933524] EXT4-fs warning: 8182 callbacks suppressed",
		"[   22.000000] EXT4-fs warning (device loop0): ext4_dx_add_entry:2473: Directory index full!",
		"[   23.000000] WARNING: CPU: 0 PID: 1 at drivers/net/veth.c:10 veth_xmit+0x1/0x2 [veth]",
	} {
		c.add(line)
	}
	if c.counts.BufferlessPages != 1 || c.counts.Suppressed != 8182 || c.counts.Warnings != 1 {
		t.Errorf("%+v", c.counts)
	}
}
