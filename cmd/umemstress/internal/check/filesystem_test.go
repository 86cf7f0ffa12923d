package check

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestCheckFilesystems(t *testing.T) {
	h := fixture(t, with(rootHost(), "proc/self/mountinfo", strings.Join([]string{
		"20 1 0:30 / / rw - overlay overlay rw",
		"21 20 8:1 / /data rw,relatime - ext4 /dev/sda1 rw",
		"22 20 8:1 /etc/hosts /etc/hosts rw,relatime - ext4 /dev/sda1 rw",
		"23 20 8:2 / /frozen ro,relatime - ext4 /dev/sda2 rw",
		"24 20 8:3 / /broken rw,relatime - ext4 /dev/sda3 ro",
		"25 20 259:1 / /pmem rw,relatime - xfs /dev/pmem0 rw,dax=always",
		"26 20 8:4 / /srv rw,relatime shared:7 - xfs /dev/sda4 rw,attr2",
		"27 20 0:31 / /run rw - tmpfs tmpfs rw",
		"28 20 0:32 / /home rw,relatime - nfs4 server:/home rw,vers=4.2",
	}, "\n")))
	mounts, err := h.mounts()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, i := range h.filesystemItems(mounts, nil) {
		what, _, _ := strings.Cut(i.Detail, ";")
		got = append(got, i.Name+" "+string(i.State)+": "+what)
	}
	const possible = " ok: writable file-backed regions possible on "
	if want := "[ext4" + possible + "/data xfs" + possible + "/srv nfs4" + possible + "/home]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
}

// TestCheckFileInsteadOfScratch has a user who cannot mount, but who has a
// directory on ext4.
func TestCheckFileInsteadOfScratch(t *testing.T) {
	dir := t.TempDir()
	var stat unix.Stat_t
	if err := unix.Stat(dir, &stat); err != nil {
		t.Fatal(err)
	}
	for fstype, want := range map[string]State{"ext4": Warning, "tmpfs": Missing} {
		files := withRxe(rootHost(), "4: ACTIVE")
		files["proc/self/mountinfo"] = fmt.Sprintf("21 1 %d:%d / / rw - %s x rw", unix.Major(stat.Dev), unix.Minor(stat.Dev), fstype)
		h := fixture(t, files)
		unprivileged(h)
		h.workDirs = []string{dir}
		h.memlock = unix.RLIM_INFINITY
		document := h.check()
		says := ""
		if want == Warning {
			says = "--file " + dir
		}
		checkItems(t, document.Items, map[string]string{"scratch": string(want) + ": " + says})
		if document.Can.Run != (want == Warning) {
			t.Errorf("on %s: run %v", fstype, document.Can.Run)
		}
	}
}

// TestCheckLoadsNothing sees that loop-control is not opened while its driver is
// not loaded.
func TestCheckLoadsNothing(t *testing.T) {
	files := rootHost()
	delete(files, "sys/class/misc/loop-control/x")
	h := fixture(t, files)
	h.open = func(path string) error {
		if strings.HasSuffix(path, "loop-control") {
			t.Errorf("%s was opened", path)
		}
		_, err := os.Stat(path)
		return err
	}
	checkItems(t, h.check().Items, map[string]string{"scratch": string(OK)})
}
