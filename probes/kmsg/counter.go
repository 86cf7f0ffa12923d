package kmsg

// Counter counts what the kernel says about the file system on one block
// device.
type Counter struct {
	Device string // as in messages: loop0
	Counts Counts
}

// Counts are lines of the log. What is not there proves nothing: a WARN_ON_ONCE() speaks once
// a boot, and of what the rate limit swallows the kernel says so only when it lets the next
// message through.
type Counts struct {
	BufferlessPages uint64 // messages of a page without buffers, one a folio, of the device alone
	Suppressed      uint64 // warnings of ext4 that the rate limit swallowed
	Warnings        uint64 // WARN()s of file systems
}

// Add takes a line into account.
func (c *Counter) Add(l Line) {
	switch {
	case l.Kind == Bufferless && l.Device == c.Device:
		c.Counts.BufferlessPages++
	case l.Kind == Suppressed && l.What == "EXT4-fs warning":
		c.Counts.Suppressed += l.Count
	case l.Kind == Warning && l.OfFilesystem():
		c.Counts.Warnings++
	}
}
