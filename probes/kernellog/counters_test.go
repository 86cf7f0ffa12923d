package kernellog

import (
	"os"
	"path/filepath"
	"testing"

	"umemstress/probes/kmsg"
)

// What a file system counted and the log did not say is known, whenever it was mounted, and after
// it was unmounted.
func TestCounters(t *testing.T) {
	sys := t.TempDir()
	set := func(device, count string) {
		t.Helper()
		dir := filepath.Join(sys, "fs/ext4", device)
		err := os.MkdirAll(dir, 0o755)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "warning_count"), []byte(count+"\n"), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	unmount := func(device string) {
		t.Helper()
		if err := os.RemoveAll(filepath.Join(sys, "fs/ext4", device)); err != nil {
			t.Fatal(err)
		}
	}
	set("sda1", "7")
	c := newCounters(sys)
	unsaid := func(want uint64) {
		t.Helper()
		c.read()
		if got := c.unsaid(); got != want {
			t.Errorf("%d unsaid, want %d", got, want)
		}
	}
	warning := func(device string) { c.said(kmsg.Line{Kind: kmsg.Bufferless, Filesystem: "EXT4", Device: device}) }
	unsaid(0) // what it counted before is not ours
	set("sda1", "10")
	warning("sda1")
	unsaid(2)
	warning("loop0") // mounted since, and not read yet
	set("loop0", "5")
	unsaid(6)
	c.said(kmsg.Line{Kind: kmsg.FSWarning, Filesystem: "EXT4", Device: "loop0"}) // one of something else is counted, too
	c.said(kmsg.Line{Kind: kmsg.FSError, Filesystem: "EXT4", Device: "loop0"})   // an error is not
	unsaid(5)
	set("loop0", "1") // unmounted, and mounted anew
	unsaid(6)
	unmount("loop0")
	unsaid(6)
	unmount("sda1")
	unsaid(6)
}
