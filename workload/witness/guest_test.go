//go:build guest

package witness

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/workload/record"
)

// ext4Device is the block device of the ext4 that a directory lies on.
func ext4Device(t *testing.T, dir string) string {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		t.Fatal(err)
	}
	device, err := os.Readlink(fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join("/sys/fs/ext4", filepath.Base(device))); err != nil {
		t.Fatalf("%s lies on no ext4: %v", dir, err)
	}
	return filepath.Base(device)
}

// warn has ext4 warn: it refuses to shrink a file system that is mounted (ext4_group_extend).
func warn(t *testing.T, dir string) {
	t.Helper()
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const groupExtend = 0x40086607 // EXT4_IOC_GROUP_EXTEND, to so many blocks
	if err := unix.IoctlSetPointerInt(int(f.Fd()), groupExtend, 1); !errors.Is(err, unix.EINVAL) {
		t.Fatalf("ext4 shrinks: %v", err)
	}
}

// restricted has the kernel's log closed to who lacks CAP_SYSLOG.
func restricted(t *testing.T) {
	t.Helper()
	const setting = "/proc/sys/kernel/dmesg_restrict"
	was, err := os.ReadFile(setting)
	if err == nil {
		err = os.WriteFile(setting, []byte("1"), 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(setting, was, 0); err != nil {
			t.Error(err)
		}
	})
}

// without does something on a thread that lacks the capabilities, and ends with it.
func without(t *testing.T, do func(), capabilities ...int) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var data [2]unix.CapUserData
		err := unix.Capget(&header, &data[0])
		for _, c := range capabilities {
			data[c/32].Effective &^= 1 << (c % 32)
		}
		if err == nil {
			err = unix.Capset(&header, &data[0])
		}
		if err == nil {
			do()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// The counter of ext4's warnings is a witness of its own: it tells also who may not read the log.
func TestWarningCountWithoutSyslog(t *testing.T) {
	restricted(t)
	dir := t.TempDir()
	device := ext4Device(t, dir)
	for name, tt := range map[string]struct {
		lacks []int
		kmsg  string
	}{
		"with":    {nil, record.StateOK},
		"without": {[]int{unix.CAP_SYSLOG, unix.CAP_SYS_ADMIN}, record.StateAbsent}, // which stood for it once
	} {
		t.Run(name, func(t *testing.T) {
			var w *Watch
			var err error
			without(t, func() {
				w, err = Start(Config{Probes: AttachSoon(nil), File: record.File{Device: device}, Evidence: &notes{}, Log: quiet()})
			}, tt.lacks...)
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			warn(t, dir)
			warn(t, dir)
			w.Pump(t.Context())
			c := record.NoChannels()
			w.Tally(&c)
			if c.Kmsg.State != tt.kmsg || tt.kmsg != record.StateOK && !strings.Contains(c.Kmsg.Why, "/dev/kmsg") {
				t.Errorf("the log is %s: %s", c.Kmsg.State, c.Kmsg.Why)
			}
			count := c.WarningCount
			if count.State != record.StateOK || count.Before == nil || count.After == nil || *count.After != *count.Before+2 {
				t.Errorf("the counter is %s: %s, %v to %v", count.State, count.Why, told(count.Before), told(count.After))
			}
			t.Logf("kmsg %s (%s), warning_count %s to %s", c.Kmsg.State, c.Kmsg.Why, told(count.Before), told(count.After))
		})
	}
}

// Where there is no ext4, nothing counts, and the channel says so.
func TestWarningCountOfNoExt4(t *testing.T) {
	w, err := Start(Config{Probes: AttachSoon(nil), File: record.File{Device: "nosuch0"}, Evidence: &notes{}, Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	c := record.NoChannels()
	w.Tally(&c)
	if count := c.WarningCount; count.State != record.StateAbsent || !strings.Contains(count.Why, "no ext4 with a warning_count") || count.After != nil {
		t.Errorf("%+v", count)
	}
}

func told(n *uint64) string {
	if n == nil {
		return "none"
	}
	return fmt.Sprint(*n)
}
