package kmsg

import (
	"strings"
	"testing"
)

// lines are what stock kernels 5.10, 6.1, 6.12 and 7.2 print.
var lines = []string{
	"4,1234,12616193,-,caller=T152;EXT4-fs warning: 8182 callbacks suppressed\n SUBSYSTEM=block\n",
	"4,980,12700000,-;EXT4-fs warning (device loop0): mpage_prepare_extent_to_map:2687: inode #12: comm umemstress: page 0 does not have buffers attached",
	"4,981,12615923,-;WARNING: CPU: 1 PID: 152 at fs/ext4/inode.c:3707 ext4_set_page_dirty+0x48/0x50 [ext4]",
	"4,982,12615923,-;WARNING: fs/ext4/inode.c:3707 at ext4_dirty_folio+0x48/0x50 [ext4], CPU#1: umemstress/152",
	"6,1,0,-;Linux version 5.10.0-46-amd64",
}

// FuzzRecord reads records of /dev/kmsg, into which anybody with the right to write can put
// a line: what comes out is one line, and no count rises by more than it says.
func FuzzRecord(f *testing.F) {
	for _, line := range lines {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, record []byte) {
		line, err := Record(record)
		if err != nil {
			return
		}
		if strings.Contains(line, "\n") || !strings.HasPrefix(line, "[") {
			t.Errorf("%q", line)
		}
		c := Counter{Device: "loop0"}
		c.Add(Classify(line))
		if c.Counts.BufferlessPages+c.Counts.Warnings > 1 {
			t.Errorf("%q counts as %+v", line, c.Counts)
		}
	})
}
