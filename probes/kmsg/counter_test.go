package kmsg

import "testing"

// The lines are those of stock kernels 5.10, 6.1 and 7.2.
func TestKmsgCounter(t *testing.T) {
	c := Counter{Device: "loop0"}
	for _, line := range []string{
		"[   12.615923] WARNING: CPU: 1 PID: 152 at fs/ext4/inode.c:3707 ext4_set_page_dirty+0x48/0x50 [ext4]",
		"[   12.700000] EXT4-fs warning (device loop0): mpage_prepare_extent_to_map:2687: inode #12: comm umemstress: page 0 does not have buffers attached",
		"[   12.700000] EXT4-fs warning (device loop1): mpage_prepare_extent_to_map:2687: inode #12: comm other: page 0 does not have buffers attached",
		"[   21.933524] EXT4-fs warning: 8182 callbacks suppressed",
		"[   22.000000] EXT4-fs warning (device loop0): ext4_dx_add_entry:2473: Directory index full!",
		"[   31.857237] WARNING: fs/ext4/inode.c:3954 at ext4_dirty_folio+0x30/0x40 [ext4], CPU#0: um/163",
		"[   31.900000] WARNING: drivers/net/veth.c:10 at veth_xmit+0x1/0x2 [veth], CPU#0: ping/163",
		"[   23.000000] WARNING: CPU: 0 PID: 1 at drivers/net/veth.c:10 veth_xmit+0x1/0x2 [veth]",
	} {
		c.Add(Classify(line))
	}
	if c.Counts.BufferlessPages != 1 || c.Counts.Suppressed != 8182 || c.Counts.Warnings != 2 {
		t.Errorf("%+v", c.Counts)
	}
}
