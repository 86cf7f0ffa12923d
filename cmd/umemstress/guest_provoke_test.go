//go:build guest

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/probes/observe"
)

// memoryGroup makes a memory cgroup of version 2.
func memoryGroup(t *testing.T) (dir string) {
	t.Helper()
	const hierarchy = "/sys/fs/cgroup"
	controller := func(change string) {
		if err := os.WriteFile(filepath.Join(hierarchy, "cgroup.subtree_control"), []byte(change), 0); err != nil {
			t.Fatal(err)
		}
	}
	controller("+memory")
	t.Cleanup(func() { controller("-memory") })
	dir = filepath.Join(hierarchy, t.Name())
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { eventually(t, func() error { return os.Remove(dir) }) })
	return dir
}

// eventually has something done that fails as long as what was killed is on its way out.
func eventually(t *testing.T, do func() error) {
	t.Helper()
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		err := do()
		if err == nil {
			return
		}
		if time.Now().After(until) {
			t.Fatal(err)
		}
	}
}

// Told to, it takes the page cache of the program's memory cgroup: what is pinned stays there, and
// loses nothing by it where the kernel has the fix. One without memory.reclaim is told to be so; there
// it takes cgroups of version 1 (soft-roce/faults).
func TestProvokeMemcg(t *testing.T) {
	if *expectVerdict == "refused" {
		return // nothing is pinned
	}
	group := memoryGroup(t)
	procs := filepath.Join(group, "cgroup.procs")
	file := pinnedFile(t, 256)
	if err := unix.Fadvise(int(file.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		t.Fatal(err)
	}
	if said, err := exec.Command("sh", "-c", `echo $$ >"$1"; exec cat "$2"`, "sh", procs, file.Name()).Output(); err != nil || len(said) != 256<<12 {
		t.Fatalf("%d bytes, %v", len(said), err)
	}
	o := beginService(t, "--fs", "ext4")
	server, client := perftest(t, file, 15)
	pid := server.Process.Pid
	if err := os.WriteFile(procs, []byte(strconv.Itoa(pid)), 0); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- client() }()
	o.await(t, func(l observe.Line) bool { return l.Event == "pinned" && l.Owner.PID == uint32(pid) })

	args := []string{"provoke", "--pid", strconv.Itoa(pid), "--path", file.Name(), "--by", "memcg"}
	charged := func() int {
		stdout, stderr, code := here(t, args...)
		m := regexp.MustCompile(`cgroup +(\d+) bytes of page cache of /` + t.Name() + `, with 1 processes in it\n`).FindStringSubmatch(stdout)
		if code != exit.Usage || m == nil || !strings.Contains(stderr, "nothing was done") {
			t.Fatalf("without --yes: exit code %d: %s%s", code, stdout, stderr)
		}
		n, _ := strconv.Atoi(m[1]) // it is a number
		return n
	}
	inRoot := func() {
		if err := os.WriteFile(filepath.Join(filepath.Dir(group), "cgroup.procs"), []byte(strconv.Itoa(pid)), 0); err != nil {
			t.Fatal(err)
		}
		_, stderr, code := here(t, args...)
		if code != exit.HostLacks || !strings.Contains(stderr, "in the root of the memory cgroups") {
			t.Errorf("in the root: exit code %d: %s", code, stderr)
		}
	}
	if _, err := os.Stat(filepath.Join(group, "memory.reclaim")); err != nil {
		_, stderr, code := here(t, args...)
		if code != exit.HostLacks || !strings.Contains(stderr, "it takes Linux 5.19") || !strings.Contains(stderr, "--by madvise does without") {
			t.Errorf("exit code %d: %s", code, stderr)
		}
		inRoot()
		if err := <-done; err != nil {
			t.Error(err)
		}
		o.end(t)
		return
	}
	before := charged()
	stdout, stderr, code := here(t, append(args, "--yes")...)
	if code != exit.Clean || stderr != "" || !strings.Contains(stdout, "written back and paged out once") {
		t.Fatalf("exit code %d: %s%s", code, stdout, stderr)
	}
	after := charged()
	t.Logf("%d bytes of page cache, then %d", before, after)
	if before < 256<<12 || after > before/2 || after < 32<<12 {
		t.Errorf("%d bytes of page cache are charged to the group, and %d after that, of which %d are pinned", before, after, 32<<12)
	}
	inRoot()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if summary, _ := o.end(t); summary.Total().Stripped != 0 || summary.Total().Unannounced != 32 {
		t.Errorf("%+v", summary)
	}
}
