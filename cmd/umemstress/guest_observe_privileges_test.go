//go:build guest

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// capabilities are those of all threads of a process, which are the same, by the names of their
// numbers in include/uapi/linux/capability.h.
func capabilities(t *testing.T, pid int) []string {
	t.Helper()
	return capabilitiesAs(t, pid, "CapBnd:\t0000000000000000\n")
}

// capabilitiesAs wants a line in the threads' status, beside those that there are to be in any case. A
// service's bounding set is what it was given: to make it smaller takes CAP_SETPCAP.
func capabilitiesAs(t *testing.T, pid int, line string) []string {
	t.Helper()
	names := map[int]string{1: "DAC_OVERRIDE", 19: "SYS_PTRACE", 21: "SYS_ADMIN", 23: "SYS_NICE", 24: "SYS_RESOURCE", 34: "SYSLOG", 38: "PERFMON", 39: "BPF"}
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(tasks) == 0 {
		t.Fatalf("%q, %v", tasks, err)
	}
	var sets []string
	for _, path := range tasks {
		text := readFile(t, path)
		for _, want := range []string{line, "CapInh:\t0000000000000000\n", "CapAmb:\t0000000000000000\n", "NoNewPrivs:\t1\n"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s lacks %q: %s", path, want, text)
			}
		}
		for _, set := range regexp.MustCompile(`Cap(?:Prm|Eff):\t([0-9a-f]+)`).FindAllStringSubmatch(text, -1) {
			sets = append(sets, set[1])
		}
	}
	if slices.Sort(sets); len(sets) != 2*len(tasks) || sets[0] != sets[len(sets)-1] {
		t.Errorf("the threads have %q", sets)
	}
	set, err := strconv.ParseUint(sets[0], 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for bit := range 64 {
		if set>>bit&1 != 0 {
			name := names[bit]
			if name == "" {
				name = strconv.Itoa(bit)
			}
			found = append(found, name)
		}
	}
	return found
}

// Once it has begun, an observer has the few capabilities that it is still in need of, and with
// these it tells whose pages of which file, counts, keeps its journal and takes its hooks away.
func TestObservePrivileges(t *testing.T) {
	r := newRegistrar(t)
	// Before 5.19 the kernel asks for it each time that a table of the probes is read.
	wantsBPF := *expectVerdict == "data-lost"
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"plain":   {nil, []string{"SYS_PTRACE", "SYS_NICE"}},
		"stacks":  {[]string{"--stack"}, []string{"SYS_PTRACE", "SYS_NICE"}},
		"journal": {[]string{"--journal", filepath.Join(t.TempDir(), "j"), "--output-file", filepath.Join(theirs(t), "out")}, []string{"DAC_OVERRIDE", "SYS_PTRACE", "SYS_NICE"}},
	} {
		t.Run(name, func(t *testing.T) {
			if wantsBPF {
				c.want = append(c.want, "BPF")
			}
			out, err := os.Create(filepath.Join(t.TempDir(), "out"))
			if err != nil {
				t.Fatal(err)
			}
			defer out.Close()
			path := out.Name()
			if i := slices.Index(c.args, "--output-file"); i >= 0 {
				path = c.args[i+1]
			}
			var log bytes.Buffer
			cmd := startObserving(t, out, &log, append([]string{"-v", "--pid", strconv.Itoa(os.Getpid())}, c.args...)...)
			awaitText(t, path, `"started"`)
			if got := capabilities(t, cmd.Process.Pid); !slices.Equal(got, c.want) {
				t.Errorf("it has %q, want %q", got, c.want)
			}
			r.register(t, 3)
			if err := cmd.Process.Signal(unix.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("%v: %s", err, log.String())
			}
			text := readFile(t, path)
			if strings.Count(text, `"event":"`+registration()+`"`) != 3 || !strings.Contains(text, `/pool"`) || !strings.Contains(text, fmt.Sprintf(`%s_regions":3`, registration())) {
				t.Errorf("told: %s", text)
			}
			if slices.Contains(c.args, "--stack") && !strings.Contains(text, "ib_umem_get") {
				t.Errorf("no stacks: %s", text)
			}
			for _, name := range c.want {
				if !strings.Contains(log.String(), "kept CAP_"+name) {
					t.Errorf("it does not say that it keeps %s: %s", name, log.String())
				}
			}
			if strings.Contains(log.String(), "level=warning") {
				t.Errorf("said: %s", log.String())
			}
			if left := kprobeEvents(t, "umemstress"); len(left) != 0 {
				t.Errorf("left %q", left)
			}
		})
	}
}

// theirs is a directory of another user's, where root makes files by CAP_DAC_OVERRIDE alone.
func theirs(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "theirs")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	return dir
}
