//go:build guest

package main

import (
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/probes/observe"
)

// hideTypes has the kernel be like one without BTF.
func hideTypes(t *testing.T) {
	t.Helper()
	const btf = "/sys/kernel/btf"
	if err := unix.Mount("none", btf, "tmpfs", unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(btf, 0); err != nil {
			t.Error(err)
		}
	})
}

// Where the kernel gives no probes, its log and ext4's counter tell what is dropped: each page
// that the log names, and how many it left out.
func TestObserveByTheLogAlone(t *testing.T) {
	hideTypes(t)
	const pages = 256
	file := pinnedFile(t, pages)
	before := warnings(t, file)
	if stdout, _, code := outcome(t, "observe", "--dry-run"); code != exit.Clean || !strings.Contains(stdout, "log on /dev/kmsg") || !strings.Contains(stdout, "without it: nobody knows who holds pages") {
		t.Errorf("exit code %d: %s", code, stdout)
	}
	o := beginObserving(t, "--fail-on-hit")
	if said := o.log.String(); !strings.Contains(said, "only the kernel's log and ext4's counters of warnings are watched") || !strings.Contains(said, "--btf") {
		t.Errorf("said: %s", said)
	}
	o.expected = o.log.Len()
	server, client := perftest(t, file, 4)
	ended := make(chan error, 1)
	go func() { ended <- client() }()
	if *expectVerdict == "data-lost" {
		awaitPinned(t, server.Process.Pid)
		provokeIt(t, server.Process.Pid, file)
	}
	if err := <-ended; err != nil && *expectVerdict != "refused" {
		t.Fatal(err)
	}
	if err := file.Sync(); err != nil {
		t.Fatal(err)
	}
	rise := warnings(t, file) - before
	want := exit.Clean
	if *expectVerdict == "data-lost" {
		var stat unix.Stat_t
		if err := unix.Fstat(int(file.Fd()), &stat); err != nil {
			t.Fatal(err)
		}
		l := o.await(t, func(l observe.Line) bool { return l.Event == "dropped" })
		device := strconv.Itoa(int(unix.Major(stat.Dev))) + ":" + strconv.Itoa(int(unix.Minor(stat.Dev)))
		if l.Filesystem != "ext4" || l.Inode != stat.Ino || l.Device != device || l.Pages == 0 || l.Owner != nil || l.Actor.Comm == "" {
			t.Errorf("%+v", l)
		}
		o.await(t, func(l observe.Line) bool { return l.Event == "lost" })
		want = 12
	}
	summary, code := o.end(t)
	if said := summary.Total().Dropped; code != want || said+summary.Lost.Strips != uint64(rise) || (rise > 0) != (want == 12) || summary.Lost.Events != 0 {
		t.Errorf("exit code %d, want %d; ext4 warned %d times: %+v", code, want, rise, summary)
	}
	t.Logf("told:\n%s", o.told())
}
