//go:build guest

package leaktest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"umemstress/rdma"
)

func TestMain(m *testing.M) { os.Exit(Run(m)) }

// shell runs a step as root of the guest.
func shell(t *testing.T, script string, args ...string) string {
	t.Helper()
	out, err := exec.Command("sh", append([]string{"-ec", script, "sh"}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", script, err, out)
	}
	return strings.TrimSpace(string(out))
}

// Each kind of thing is leaked for real, is named in a sentence of its own, and is no leak
// any more when it has gone.
func TestLeaks(t *testing.T) {
	dir := t.TempDir()
	image := filepath.Join(dir, "image")
	if err := os.WriteFile(image, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	const cgroup, event = cgroupRoot + "/leaktest", "umemstress/leaktest"
	byShell := func(make, undo string, args ...string) func(*testing.T) (string, func()) {
		return func(t *testing.T) (string, func()) {
			made := shell(t, make, args...)
			return made, func() { shell(t, undo, append(args, made)...) }
		}
	}
	for _, leak := range []struct {
		kind string
		make func(t *testing.T) (made string, undo func())
		want []string // parts of the sentence; MADE stands for what was made
	}{
		{"descriptor", func(t *testing.T) (string, func()) {
			f, err := os.Open(image)
			if err != nil {
				t.Fatal(err)
			}
			return image, func() { f.Close() }
		}, []string{"a descriptor of MADE", "is still open"}},
		{"child", func(t *testing.T) (string, func()) {
			cmd := exec.Command("sleep", "600")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			// For a moment after exec, the kernel has a name and no arguments (mm->arg_start).
			for line := ""; !strings.HasPrefix(line, "sleep"); time.Sleep(time.Millisecond) {
				text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", cmd.Process.Pid))
				if err != nil {
					t.Fatal(err)
				}
				line = string(text)
			}
			return "", func() {
				cmd.Process.Kill()
				cmd.Wait()
			}
		}, []string{"(sleep 600), a child of the tests,", "is still there"}},
		{"orphan", byShell(`sleep 700 >/dev/null 2>&1 & until [ "$(tr "\\0" " " </proc/$!/cmdline)" = "sleep 700 " ]; do :; done; echo $!`, `kill "$1"`), []string{"process MADE (sleep 700)", "is still there"}},
		{"zombie", func(t *testing.T) (string, func()) {
			cmd := exec.Command("true")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
			return "", func() { cmd.Wait() }
		}, []string{"(true), a child of the tests, that nobody waited for", "is still there"}},
		{"loop device", byShell(`losetup -f --show "$1"`, `losetup -d "$2"`, image), []string{"loop device loop", "(" + image + ")", "is still attached"}},
		{"mapped device", byShell(`modprobe dm-mod; dmsetup create --noudevsync leaktest --table "0 8 error"`, `dmsetup remove --noudevsync leaktest`),
			[]string{"device-mapper device dm-", "(leaktest)", "is still there"}},
		{"mount", byShell(`mkdir -p "$1"; mount -t tmpfs leaked "$1"`, `umount "$1"`, filepath.Join(dir, "mount")),
			[]string{"mount of leaked (tmpfs) on " + filepath.Join(dir, "mount"), "is still there"}},
		{"cgroup", byShell(`mkdir "$1"`, `rmdir "$1"`, cgroup), []string{"cgroup " + cgroup, "is still there"}},
		{"link", byShell(`ip link add leak0 type veth peer name leak1; ip link set leak0 up; rdma link add rxeleak type rxe netdev leak0`,
			`rdma link del rxeleak; ip link del leak0`), []string{"RDMA device rxeleak", "is still there"}},
		{"network device", byShell(`ip link add leak0 type veth peer name leak1`, `ip link del leak0`), []string{"network device leak0", "is still there"}},
		{"module", byShell(`modprobe vmw_vmci`, `rmmod vmw_vmci`), []string{"module vmw_vmci", "is still loaded"}},
		{"kprobe event", byShell(`echo "p:$1 vfs_read" >>/sys/kernel/tracing/kprobe_events`, `echo "-:$1" >>/sys/kernel/tracing/kprobe_events`, event),
			[]string{"kprobe event p:" + event, "is still set"}},
		{"BPF object", func(t *testing.T) (string, func()) {
			m, err := ebpf.NewMap(&ebpf.MapSpec{Name: "leaktest", Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
			if err != nil {
				t.Fatal(err)
			}
			return "", func() { m.Close() }
		}, []string{"BPF map ", "(leaktest, Array)", "is still there"}},
		{"RDMA resource", func(t *testing.T) (string, func()) {
			rxe, err := rdma.FindDevice("/sys", "rxe0")
			if err != nil {
				t.Fatal(err)
			}
			device, err := rdma.Open(rxe)
			if err != nil {
				t.Fatal(err)
			}
			domain, err := device.AllocPD()
			if err != nil {
				t.Fatal(err)
			}
			return "", func() {
				if err := errors.Join(domain.Close(), device.Close()); err != nil {
					t.Error(err)
				}
			}
		}, []string{"RDMA resource pd of rxe0", "is still there"}},
		{"temporary file", byShell(`mktemp`, `rm "$1"`), []string{"file MADE", "is still there"}},
		{"setting", byShell(`echo +pids >"$1"`, `echo -pids >"$1"`, cgroupRoot+"/cgroup.subtree_control"),
			[]string{"the value", "pids", "of " + cgroupRoot + "/cgroup.subtree_control", "was not before"}},
	} {
		t.Run(leak.kind, func(t *testing.T) {
			before, err := Look()
			if err != nil {
				t.Fatal(err)
			}
			made, undo := leak.make(t)
			found, err := before.Leaks(0)
			if err != nil {
				t.Error(err)
			}
			if !anyHas(found, leak.want, made) {
				t.Errorf("none of %q has %q", found, leak.want)
			}
			undo()
			if found, err := before.Leaks(patience); err != nil || len(found) > 0 {
				t.Errorf("after it was undone: %q, %v", found, err)
			}
		})
	}
}

// anyHas says whether one of the sentences has all the parts.
func anyHas(sentences, parts []string, made string) bool {
	for _, s := range sentences {
		all := true
		for _, part := range parts {
			all = all && strings.Contains(s, strings.ReplaceAll(part, "MADE", made))
		}
		if all {
			return true
		}
	}
	return false
}

// tests are tests of a package: what they do and how they end.
type tests func() int

func (t tests) Run() int { return t() }

// Who leaks fails, unless the leak goes in time; who fails keeps his exit code.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	cgroup := filepath.Join(cgroupRoot, "leaktest-run")
	leak := func(code int) tests {
		return func() int {
			shell(t, `mkdir "$1"`, cgroup)
			return code
		}
	}
	for _, tt := range []struct {
		name     string
		tests    tests
		patience time.Duration
		code     int
		says     string
	}{
		{"nothing", func() int { return 0 }, patience, 0, ""},
		{"failed", func() int { return 2 }, patience, 2, ""},
		{"leak", leak(0), 0, 1, "leaktest: cgroup " + cgroup + " is still there\n"},
		{"failed and leak", leak(2), 0, 2, "leaktest: cgroup " + cgroup + " is still there\n"},
		{"it goes late", func() int {
			f, err := os.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			time.AfterFunc(300*time.Millisecond, func() { f.Close() })
			return 0
		}, patience, 0, ""},
	} {
		var stderr bytes.Buffer
		if code := run(tt.tests, &stderr, tt.patience); code != tt.code || stderr.String() != tt.says {
			t.Errorf("%s: exit code %d, want %d; says %q, want %q", tt.name, code, tt.code, stderr.String(), tt.says)
		}
		if err := os.Remove(cgroup); err != nil && !os.IsNotExist(err) {
			t.Error(err)
		}
	}
}

// What only the collector can unmap is not called left behind.
func TestLibraryMemory(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // nothing but the look has it run
	before, err := Look()
	if err != nil {
		t.Fatal(err)
	}
	m, err := ebpf.NewMap(&ebpf.MapSpec{Name: ".bss", Type: ebpf.Array, KeySize: 4, ValueSize: 4096, MaxEntries: 1, Flags: unix.BPF_F_MMAPABLE})
	if err != nil {
		t.Fatal(err)
	}
	memory, err := m.Memory()
	if err := errors.Join(err, m.Close()); err != nil {
		t.Fatal(err)
	}
	found, err := before.Leaks(0)
	if err != nil || len(found) != 1 || !strings.Contains(found[0], "(.bss, Array) is still there") {
		t.Errorf("in use: %q, %v", found, err)
	}
	runtime.KeepAlive(memory)
	if found, err = before.Leaks(patience); err != nil || len(found) > 0 {
		t.Errorf("after: %q, %v", found, err)
	}
}
