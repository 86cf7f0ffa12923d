//go:build faults

package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// damage is what becomes of a file.
type damage struct {
	name string
	do   func(path string, content []byte) error
}

var damages = []damage{
	{"gone", func(path string, _ []byte) error { return os.Remove(path) }},
	{"empty", func(path string, _ []byte) error { return os.WriteFile(path, nil, 0o644) }},
	{"half", func(path string, content []byte) error { return os.WriteFile(path, content[:len(content)/2], 0o644) }},
	{"noise", func(path string, content []byte) error { return os.WriteFile(path, noise(len(content)), 0o644) }},
	{"a directory", func(path string, _ []byte) error {
		if err := os.Remove(path); err != nil {
			return err
		}
		return os.Mkdir(path, 0o755)
	}},
}

// noise is the same in each run.
func noise(n int) []byte {
	bytes := make([]byte, n)
	for i, state := 0, uint32(2463534242); i < n; i++ {
		state ^= state << 13
		state ^= state >> 17
		state ^= state << 5
		bytes[i] = byte(state)
	}
	return bytes
}

// spoil does the damage to all files of the pattern, and returns what undoes it.
func spoil(t *testing.T, d damage, pattern string) (undo func()) {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: %q, %v", pattern, paths, err)
	}
	contents := map[string][]byte{}
	for _, path := range paths {
		if contents[path], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
		if err := d.do(path, contents[path]); err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		for path, content := range contents {
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
			write(t, path, string(content))
		}
	}
}

// repairedOrTold says what is wrong with how a command ended that met a damage: it works all
// the same, or says in a sentence where the damage is.
func repairedOrTold(p *process, limit time.Duration, where string, codes ...int) string {
	switch {
	case !p.ended(limit):
		return fmt.Sprintf("it was not at its end after %s", limit)
	case crash(p.stderr.String()) != "":
		return "it died of itself"
	case p.code() == 0:
		return ""
	case !slices.Contains(codes, p.code()):
		return fmt.Sprintf("exit code %d, not 0 or of %d", p.code(), codes)
	case !strings.Contains(p.stderr.String(), where):
		return fmt.Sprintf("it does not name %s", where)
	}
	return wrongSentence(p.stderr.String())
}

// Whatever has become of a kernel in the cache, the lab repairs it or says so.
func TestDamagedKernels(t *testing.T) {
	cache, kernel := linkedCache(t)
	env := []string{"XDG_CACHE_HOME=" + cache, "UMEMSTRESS_KERNEL_DIR="}
	const boot = 60 * time.Second
	exec := func() *process {
		return start(t, env, program(t), "lab", "exec", "--kernel", kernelName, "--no-device", "--timeout", "30s", "--", "true")
	}
	if p := exec(); !p.ended(boot) || p.code() != 0 {
		t.Fatalf("undamaged: %s", p)
	}
	cases := 0
	for _, file := range []string{"kernel.json", "vmlinux", "boot-modules-3.cpio"} {
		for _, d := range damages {
			undo := spoil(t, d, filepath.Join(kernel, file))
			list := start(t, env, program(t), "lab", "kernels")
			if wrong := repairedOrTold(list, 10*time.Second, kernel, 1); wrong != "" {
				t.Errorf("%s is %s, lab kernels: %s: %s", file, d.name, wrong, list)
			}
			guest := exec()
			if wrong := repairedOrTold(guest, boot, "", 1, 21); wrong != "" {
				t.Errorf("%s is %s, lab exec: %s: %s", file, d.name, wrong, guest)
			}
			undo()
			cases += 2
		}
	}
	fmt.Printf("%d commands over a damaged kernel\n", cases)
}

// A note of the accelerator, or a name of a kernel, that is damaged costs a look and no more.
func TestDamagedNotes(t *testing.T) {
	cache, _ := linkedCache(t)
	env := []string{"XDG_CACHE_HOME=" + cache, "UMEMSTRESS_KERNEL_DIR="}
	note := filepath.Join(cache, "umemstress/kvm-trial.json")
	write(t, note, `{"Accel":"kvm"`)
	p := start(t, env, program(t), "lab", "exec", "--kernel", kernelName, "--no-device", "--", "true")
	if wrong := repairedOrTold(p, time.Minute, note); wrong != "" {
		t.Errorf("the note: %s: %s", wrong, p)
	}
	name := filepath.Join(cache, "umemstress/kernels/by-name", kernelName)
	for _, target := range []string{"../nowhere", kernelName, "/etc"} {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		symlink(t, target, name)
		p := start(t, env, program(t), "lab", "kernels")
		if wrong := repairedOrTold(p, 10*time.Second, "", 1); wrong != "" {
			t.Errorf("a name that leads to %s: %s: %s", target, wrong, p)
		}
	}
}

// Damaged package lists are read again.
func TestDamagedIndexes(t *testing.T) {
	cache, _ := linkedCache(t)
	fetch := func() *process {
		return start(t, []string{"XDG_CACHE_HOME=" + cache, "UMEMSTRESS_KERNEL_DIR="}, program(t), "lab", "kernels", "--fetch", kernelName)
	}
	const limit = 2 * time.Minute
	if p := fetch(); !p.ended(limit) || p.code() != 0 {
		t.Fatalf("undisturbed: %s", p)
	}
	apt := filepath.Join(cache, "umemstress/apt")
	cases := 0
	for _, pattern := range []string{"lists/*InRelease", "lists/*Packages*", "sources.list"} {
		for _, d := range damages {
			spoil(t, d, filepath.Join(apt, pattern))
			p := fetch()
			if wrong := repairedOrTold(p, limit, apt, 1); wrong != "" {
				t.Errorf("%s are %s: %s: %s", pattern, d.name, wrong, p)
			}
			// What the sentence says to do.
			if p.code() != 0 {
				if err := os.RemoveAll(apt); err != nil {
					t.Fatal(err)
				}
				if p := fetch(); !p.ended(limit) || p.code() != 0 {
					t.Fatalf("without %s: %s", apt, p)
				}
			}
			cases++
		}
	}
	fmt.Printf("%d fetches over damaged lists\n", cases)
}
