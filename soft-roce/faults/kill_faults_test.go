//go:build faults

package faults

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A killed fetch leaves no process, and the next one works, begun at once and in what the
// other has left.
func TestKilledFetches(t *testing.T) {
	cache := t.TempDir()
	fetch := func(family string) *process {
		return start(t, []string{"XDG_CACHE_HOME=" + cache, "UMEMSTRESS_KERNEL_DIR=", marker + "=" + family}, program(t), "lab", "kernels", "--fetch", kernelName)
	}
	const limit = 3 * time.Minute
	whole := func() time.Duration {
		p := fetch(family())
		if !p.ended(limit) || p.code() != 0 {
			t.Fatalf("undisturbed: %s", p)
		}
		new, err := filepath.Glob(filepath.Join(cache, "umemstress/kernels/.new-*"))
		if err != nil || len(new) > 0 {
			t.Errorf("undisturbed: it leaves %q, %v", new, err)
		}
		length := time.Since(p.started)
		if err := os.RemoveAll(cache); err != nil {
			t.Fatal(err)
		}
		return length
	}
	length := whole()
	for number := range 2 * len(endings) {
		random := rand.New(rand.NewPCG(*seed, uint64(number)))
		signal, moment := endings[number%len(endings)], time.Duration(random.Float64()*float64(length))
		what := fmt.Sprintf("-faults.seed %d: fetch %d, %s after %s of about %s", *seed, number, unix.SignalName(signal), moment.Round(time.Millisecond), length.Round(time.Millisecond))
		family := family()
		p := fetch(family)
		time.Sleep(moment)
		sent := p.cmd.Process.Signal(signal) == nil
		switch {
		case !p.ended(20 * time.Second):
			t.Errorf("%s: it was not at its end 20 s later", what)
		case p.code() == 0: // the fetches before it had done some of its work, or it was faster than the first
			if err := os.RemoveAll(cache); err != nil {
				t.Fatal(err)
			}
		case !sent:
			t.Errorf("%s: it ended before the signal: %s", what, p)
		default:
			if wrong := interrupted(p, signal); wrong != "" {
				t.Errorf("%s: %s: %s", what, wrong, p)
			}
		}
		if found := left(family); len(found) > 0 {
			t.Errorf("%s: left running: %q", what, found)
			end(family)
		}
	}
	whole()
	fmt.Printf("%d fetches of %s killed\n", 2*len(endings), length.Round(time.Second))
}

// A killed lab leaves no guest, no process and no file, wherever it was.
func TestKilledLabs(t *testing.T) {
	cache, _ := linkedCache(t)
	tmp, work := t.TempDir(), t.TempDir()
	before := files(t, cache)
	labs := map[string][]string{
		"exec": {"lab", "exec", "--kernel", kernelName, "--", "sleep", "60"},
		"run":  {"lab", "run", "--kernel", kernelName, "--", "--preset", "customer", "-D", "30", "--file-size", "2M", "--anon-size", "2M", "-o", filepath.Join(work, "evidence")},
	}
	const longest = 15 * time.Second // a boot, and some of the program
	killed := 0
	for _, name := range []string{"exec", "run"} {
		for number := range 2 * len(endings) {
			random := rand.New(rand.NewPCG(*seed, uint64(number)))
			signal, moment := endings[number%len(endings)], time.Duration(random.Float64()*float64(longest))
			what := fmt.Sprintf("-faults.seed %d: lab %s %d, %s after %s", *seed, name, number, unix.SignalName(signal), moment.Round(time.Millisecond))
			family := family()
			p := start(t, []string{"XDG_CACHE_HOME=" + cache, "UMEMSTRESS_KERNEL_DIR=", "TMPDIR=" + tmp, marker + "=" + family}, append([]string{program(t)}, labs[name]...)...)
			time.Sleep(moment)
			if err := p.cmd.Process.Signal(signal); err != nil {
				t.Errorf("%s: it ended before the signal: %s", what, p)
				continue
			}
			killed++
			if !p.ended(20 * time.Second) {
				t.Errorf("%s: it was not at its end 20 s later", what)
			} else if wrong := interrupted(p, signal); wrong != "" {
				t.Errorf("%s: %s: %s", what, wrong, p)
			}
			if found := left(family); len(found) > 0 {
				t.Errorf("%s: left running: %q", what, found)
				end(family)
			}
			for _, file := range append(files(t, cache), files(t, tmp)...) {
				if !slices.Contains(before, file) && file != "umemstress/kvm-trial.json" {
					t.Errorf("%s: it leaves the file %s", what, file)
					before = append(before, file)
				}
			}
			if err := os.RemoveAll(filepath.Join(work, "evidence")); err != nil {
				t.Fatal(err)
			}
		}
	}
	p := start(t, []string{"XDG_CACHE_HOME=" + cache, "UMEMSTRESS_KERNEL_DIR="}, program(t), "lab", "exec", "--kernel", kernelName, "--", "true")
	if !p.ended(time.Minute) || p.code() != 0 {
		t.Errorf("the next one: %s", p)
	}
	fmt.Printf("%d labs killed\n", killed)
}
