//go:build guest

package main

import (
	"errors"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/workload/record"
	"umemstress/workload/witness"
)

// letBeDirty has the kernel allow so many dirty pages, until the test ends.
func letBeDirty(t *testing.T, pages uint64) {
	t.Helper()
	for _, path := range []string{"/proc/sys/vm/dirty_bytes", "/proc/sys/vm/dirty_ratio"} {
		before := readFile(t, path)
		if strings.TrimSpace(before) != "0" { // of the two, the one that holds: it sets the other to 0
			t.Cleanup(func() {
				if err := os.WriteFile(path, []byte(before), 0); err != nil {
					t.Error(err)
				}
			})
		}
	}
	if err := os.WriteFile("/proc/sys/vm/dirty_bytes", []byte(strconv.FormatUint(pages<<12, 10)), 0); err != nil {
		t.Fatal(err)
	}
}

// Pages that ext4 has dropped count as dirty for good. A run that may bring them to the number
// where writers crawl asks to be allowed to, and one that finds them there ends in a sentence.
func TestDirtyLimit(t *testing.T) {
	if record.Verdict(*expectVerdict) != record.DataLost {
		return // nothing is dropped
	}
	stdout, stderr, code := outcome(t, small("--scenario", "dio/ext4/pageout/none", "-o", t.TempDir()+"/first")...)
	if code != record.DataLost.ExitCode() {
		t.Fatalf("exit code %d: %s%s", code, stdout, stderr)
	}
	unix.Sync()
	dropped, err := witness.CountDirty()
	if err != nil || dropped.Pages < 512 || dropped.Full() {
		t.Fatalf("%+v, %v", dropped, err)
	}
	letBeDirty(t, dropped.Pages+256)
	_, stderr, code = outcome(t, small("--scenario", "dio/ext4/pageout/none", "-o", t.TempDir()+"/second")...)
	if code != exit.HostLacks || !strings.Contains(stderr, "writers of the machine crawl or stand still") || !strings.Contains(stderr, "--allow-crash") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	letBeDirty(t, dropped.Pages/2)
	begun, third := time.Now(), t.TempDir()+"/third"
	_, stderr, code = outcome(t, small("--scenario", "vmwritev/tmpfs/none/none", "--allow-crash", "-o", third)...)
	if _, err := os.Stat(third); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it began: %v", err)
	}
	if code != exit.HostLacks || !strings.Contains(stderr, "the writers of this machine crawl or stand still") || time.Since(begun) > time.Minute {
		t.Errorf("exit code %d after %v: %s", code, time.Since(begun), stderr)
	}
}
