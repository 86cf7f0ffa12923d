//go:build guest

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/workload/record"
)

// shell runs a step of a test's set-up.
func shell(t *testing.T, script string, args ...string) {
	t.Helper()
	out, err := exec.Command("sh", append([]string{"-ec", script, "sh"}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", script, err, out)
	}
}

// Each bad input gets one sentence, the right exit code, and leaves nothing.
func TestBadInput(t *testing.T) {
	dir := t.TempDir()
	existing := filepath.Join(dir, "existing")
	readOnly, full := filepath.Join(dir, "ro"), filepath.Join(dir, "full")
	oneKiB, journal := filepath.Join(dir, "1k"), filepath.Join(dir, "journal")
	shell(t, `touch "$1"; mkdir "$2" "$3" "$4" "$5"
		ext4() { truncate -s 16M "$1.img"; mke2fs -q -t ext4 -b "$2" "$1.img"; mount -o "loop,$3" "$1.img" "$1"; }
		ext4 "$2" 4096 ro; ext4 "$4" 1024 rw; ext4 "$5" 4096 data=journal
		mount -t tmpfs -o size=64K tmpfs "$3"`, existing, readOnly, full, oneKiB, journal)
	t.Cleanup(func() { shell(t, `umount "$@"`, readOnly, full, oneKiB, journal) })
	before := leftovers(t)

	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"unknown flag":        {[]string{"run", "--frobnicate"}, exit.Usage, "--frobnicate"},
		"argument":            {[]string{"run", "fast"}, exit.Usage, "no arguments"},
		"unknown device":      {small("-d", "mlx5_7"), exit.HostLacks, "mlx5_7"},
		"unknown port":        {small("-i", "9"), exit.HostLacks, "port 9"},
		"unknown file system": {small("--fs", "zfs"), exit.Usage, "choose ext4"},
		"no such directory":   {small("--file", "/nonexistent/x"), exit.Usage, "directory must exist"},
		"existing file":       {small("--file", existing), exit.Usage, "would overwrite"},
		"tmpfs":               {small("--file", "/dev/shm/x"), exit.Usage, "tmpfs"},
		"read-only mount":     {small("--file", filepath.Join(readOnly, "x")), exit.Usage, "read-only"},
		"small blocks":        {small("--file", filepath.Join(oneKiB, "x")), exit.Usage, "blocks of 1024 bytes"},
		"large blocks":        {small("--file", filepath.Join(dir, "x"), "--fs", "ext4-1k"), exit.Usage, "blocks of 4096 bytes"},
		"journalled":          {small("--file", filepath.Join(journal, "x")), exit.Usage, "its data is journalled"},
		"small journal":       {small("--file", filepath.Join(journal, "x"), "--fs", "ext4-journal"), exit.Usage, "leave it out"},
		"not btrfs":           {small("--file", filepath.Join(dir, "x"), "--fs", "btrfs"), exit.Usage, "it is on ext4 and the scenario is for btrfs"},
		"no scratch space":    {small("--scratch-dir", full), exit.Failed, "no space left"},
		"no scratch dir":      {small("--scratch-dir", "/nonexistent"), exit.Failed, "--scratch-dir"},
		"no evidence space":   {small("-o", filepath.Join(full, "e")), exit.Failed, "no space left"},
		"evidence in a file":  {small("-o", existing), exit.Usage, "--output"},
		"not evidence":        {[]string{"verdict", dir}, exit.Usage, "run.json"},
	} {
		args := c.args
		if args[0] == "run" && !strings.Contains(strings.Join(args, " "), " -o ") {
			args = append(args, "-o", filepath.Join(t.TempDir(), "evidence"))
		}
		if name == "no evidence space" {
			shell(t, `head -c 60K /dev/zero >"$1/filler"`, full)
		}
		stdout, stderr, code := here(t, args...)
		if name == "no evidence space" {
			shell(t, `rm -r "$1"/*`, full)
		}
		if code != c.code || !strings.Contains(stderr, c.want) || strings.Count(stderr, "umemstress: ") != 1 {
			t.Errorf("%s: exit code %d, want %d and %q: %s%s", name, code, c.code, c.want, stdout, stderr)
		}
	}
	if after := leftovers(t); after != before {
		t.Errorf("left behind:\n%s\nbefore:\n%s", after, before)
	}
}

// A port that is down is named, and works again when it is up.
func TestPortDown(t *testing.T) {
	netdev := strings.TrimSpace(readFile(t, "/sys/class/infiniband/rxe0/parent"))
	shell(t, `ip link set "$1" down`, netdev)
	defer shell(t, `ip link set "$1" up; until grep -q ACTIVE /sys/class/infiniband/rxe0/ports/1/state; do sleep 0.1; done`, netdev)
	for _, device := range [][]string{nil, {"-d", "rxe0"}} {
		_, stderr, code := here(t, small(append(device, "-o", filepath.Join(t.TempDir(), "evidence"))...)...)
		if code != exit.HostLacks || !strings.Contains(stderr, "DOWN") || !strings.Contains(stderr, "up") {
			t.Errorf("device %q: exit code %d: %s", device, code, stderr)
		}
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Without the privilege to lock memory, a small limit is named, with the remedy.
func TestLockedMemory(t *testing.T) {
	dir := t.TempDir()
	shell(t, `chmod 777 "$1"; chmod 666 /dev/infiniband/uverbs*`, dir)
	cmd := command(small("--file", filepath.Join(dir, "file"), "--observe", "off", "-o", filepath.Join(dir, "evidence"))...)
	limited := exec.Command("prlimit", "--memlock=65536", "setpriv", "--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock", cmd.Path)
	limited.Args = append(limited.Args, cmd.Args[1:]...)
	limited.Env = cmd.Env
	out, err := limited.CombinedOutput()
	if err == nil || limited.ProcessState.ExitCode() != exit.HostLacks || !strings.Contains(string(out), "RLIMIT_MEMLOCK") {
		t.Errorf("%v: %s", err, out)
	}
}

// Where the frames of pages are hidden, folios that are asked for cannot be vouched for, and
// natural ones are reported as not seen.
func TestFoliosHidden(t *testing.T) {
	dir := t.TempDir()
	run := func(folios string) (string, int) {
		cmd := command(small("--holder", "vmwritev", "--strip", "none", "--folios", folios, "--file", filepath.Join(dir, folios), "--observe", "off", "-o", filepath.Join(dir, "evidence-"+folios))...)
		limited := exec.Command("setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", cmd.Path)
		limited.Args = append(limited.Args, cmd.Args[1:]...)
		limited.Env = cmd.Env
		out, err := limited.CombinedOutput()
		if err != nil && limited.ProcessState == nil {
			t.Fatal(err)
		}
		return string(out), limited.ProcessState.ExitCode()
	}
	for _, folios := range []string{"single", "large"} {
		out, code := run(folios)
		if code != exit.HostLacks || !strings.Contains(out, "--folios "+folios+": of what sizes the folios are cannot be seen") || !strings.Contains(out, "CAP_SYS_ADMIN") {
			t.Errorf("%s: exit code %d: %s", folios, code, out)
		}
	}
	if out, code := run("natural"); code != exit.Clean || !strings.Contains(out, "/proc/self/pagemap hides the page frames") {
		t.Errorf("natural: exit code %d: %s", code, out)
	}
}

// An ordinary user is told what is missing.
func TestNoPrivilege(t *testing.T) {
	dir := t.TempDir()
	shell(t, `chmod 777 "$1" "$(dirname "$1")"; chmod 600 /dev/infiniband/uverbs*`, dir)
	cmd := command(small("-o", filepath.Join(dir, "evidence"))...)
	user := exec.Command("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", cmd.Path)
	user.Args = append(user.Args, cmd.Args[1:]...)
	user.Env = cmd.Env
	out, err := user.CombinedOutput()
	if err == nil || user.ProcessState.ExitCode() != exit.HostLacks || !strings.Contains(string(out), "root") {
		t.Errorf("%v: %s", err, out)
	}
}

// A file of the user's on btrfs, whose stat tells another device than the mount table.
func TestFileOnBtrfs(t *testing.T) {
	mount := filepath.Join(t.TempDir(), "btrfs")
	shell(t, `mkdir "$1"; truncate -s 256M "$1.img"; mkfs.btrfs -q "$1.img"; mount -o loop "$1.img" "$1"; btrfs -q subvolume create "$1/sub"`, mount)
	defer shell(t, `umount "$1"`, mount)
	file := filepath.Join(mount, "sub", "file")
	stdout, stderr, code := outcome(t, small("--holder", "vmwritev", "--fs", "btrfs", "--strip", "none", "--file", file, "-o", filepath.Join(t.TempDir(), "evidence"))...)
	if code != record.Exposed.ExitCode() || !strings.Contains(stdout, file) {
		t.Errorf("exit code %d: %s%s", code, stdout, stderr)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("the file is left behind: %v", err)
	}
}
