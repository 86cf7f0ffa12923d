package kmsg

import (
	"regexp"
	"strconv"
)

// Counter counts what the kernel says about the file system on one block
// device.
type Counter struct {
	Device string // as in messages: loop0
	Counts Counts
}

// Counts are lines of the log.
type Counts struct {
	BufferlessPages uint64 // messages of a page without buffers, one a page, of the device alone
	Suppressed      uint64 // messages that the rate limit swallowed
	Warnings        uint64 // WARN()s of file systems
}

// What kernels print:
//
//	EXT4-fs warning (device loop0): ext4_writepages...: page 7 does not have buffers attached   (fs/ext4/inode.c, mpage_prepare_extent_to_map)
//	EXT4-fs warning: 8182 callbacks suppressed   (lib/ratelimit.c)
//	WARNING: CPU: 1 PID: 152 at fs/ext4/inode.c:3707 ext4_set_page_dirty+0x48/0x50 [ext4]   (kernel/panic.c, __warn)
//	WARNING: fs/ext4/inode.c:3953 at ext4_dirty_folio+0x5e/0x80 [ext4], CPU#1: umemstress/152  (the same since 6.19, 28ea295f941e)
var (
	bufferlessLine = regexp.MustCompile(`EXT4-fs warning \(device ([^)]+)\): .* does not have buffers attached`)
	suppressedLine = regexp.MustCompile(`EXT4-fs warning: ([0-9]+) callbacks suppressed`)
	warningLine    = regexp.MustCompile(`\] WARNING: (.* at )?fs/`)
)

// Add takes a line into account.
func (c *Counter) Add(line string) {
	if m := bufferlessLine.FindStringSubmatch(line); m != nil && m[1] == c.Device {
		c.Counts.BufferlessPages++
	} else if m := suppressedLine.FindStringSubmatch(line); m != nil {
		n, _ := strconv.ParseUint(m[1], 10, 64) // digits only, by the expression
		c.Counts.Suppressed += n
	} else if warningLine.MatchString(line) {
		c.Counts.Warnings++
	}
}
