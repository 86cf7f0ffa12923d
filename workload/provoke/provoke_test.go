package provoke

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/workload/child"
	"umemstress/workload/internal/promise"
)

func TestMain(m *testing.M) {
	child.RunIfChild(map[string]child.Main{promise.Child: promise.Main})
	os.Exit(m.Run())
}

const pages = 16

// mapping maps a file of this process, and dirties it.
func mapping(t *testing.T, f *os.File, flags int) []byte {
	t.Helper()
	if err := f.Truncate(pages << 12); err != nil {
		t.Fatal(err)
	}
	memory, err := unix.Mmap(int(f.Fd()), 0, pages<<12, unix.PROT_READ|unix.PROT_WRITE, flags)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(memory) })
	for i := range memory {
		memory[i] = 1
	}
	return memory
}

func create(t *testing.T, path string) *os.File {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func self() Options { return Options{PID: uint32(os.Getpid())} }

// What is provoked are the files that are written back through the program's mappings.
func TestTargets(t *testing.T) {
	dir := t.TempDir()
	pool := create(t, filepath.Join(dir, "in/pool"))
	mapping(t, pool, unix.MAP_SHARED)
	mapping(t, create(t, filepath.Join(dir, "other")), unix.MAP_SHARED)
	mapping(t, create(t, filepath.Join(dir, "private")), unix.MAP_PRIVATE)
	memory, err := unix.MemfdCreate("memory", 0)
	if err != nil {
		t.Fatal(err)
	}
	mapping(t, os.NewFile(uintptr(memory), "memory"), unix.MAP_SHARED)

	for path, want := range map[string][]string{
		"":                       {pool.Name(), filepath.Join(dir, "other")},
		dir:                      {pool.Name(), filepath.Join(dir, "other")},
		filepath.Join(dir, "in"): {pool.Name()},
		pool.Name():              {pool.Name()},
	} {
		o := self()
		o.Path = path
		p, err := Hold(o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Close() })
		var got []string
		for _, target := range p.Targets {
			if strings.HasPrefix(target.Path, dir) {
				got = append(got, target.Path)
			}
			if strings.Contains(target.Path, "memfd") {
				t.Errorf("%s: memory of no file's: %+v", path, target)
			}
			if target.Path == pool.Name() && target.Bytes != pages<<12 {
				t.Errorf("%+v", target)
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q; want %q", path, got, want)
		}
	}
	var usage interface{ Usage() bool }
	for _, path := range []string{filepath.Join(dir, "private"), dir + "x", "/nowhere"} {
		o := self()
		o.Path = path
		if _, err := Hold(o); !errors.As(err, &usage) || !strings.Contains(err.Error(), "no writable shared mapping") {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := Hold(Options{PID: 1<<31 - 2}); !errors.As(err, &usage) || !strings.Contains(err.Error(), "no process") {
		t.Errorf("%v", err)
	}
}

// pool is a file that this process has mapped, and what there is to provoke of it.
func pool(t *testing.T) (memory []byte, p *Program) {
	t.Helper()
	file := create(t, filepath.Join(t.TempDir(), "pool"))
	memory = mapping(t, file, unix.MAP_SHARED)
	o := self()
	o.Path = file.Name()
	p, err := Hold(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return memory, p
}

// The pages are written back and taken, as often as there is time.
func TestDo(t *testing.T) {
	memory, p := pool(t)
	if r, err := p.Do(t.Context()); err != nil || r.Passes != 1 || r.AdvisedBytes != pages<<12 || r.Ended {
		t.Errorf("once: %+v, %v", r, err)
	}
	var r Result
	var err error
	for p.options.For = time.Second; r.Passes < 2; p.options.For *= 2 { // a busy disk takes long to sync
		if r, err = p.Do(t.Context()); err != nil || r.AdvisedBytes != uint64(r.Passes)*pages<<12 || r.Ended || r.Seconds < p.options.For.Seconds() {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	for _, want := range []string{"65536 bytes at " + p.Targets[0].Address + " of " + p.options.Path, "written back and paged out "} {
		if !strings.Contains(r.Text(), want) {
			t.Errorf("%q is missing in %s", want, r.Text())
		}
	}
	var resident [pages]byte
	if err := mincore(memory, resident[:]); err != nil {
		t.Fatal(err)
	}
	if slices.Contains(resident[:], 1) {
		t.Errorf("pages are there still: %v", resident)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r, err := p.Do(ctx); !errors.Is(err, context.Canceled) || r.Passes > 1 {
		t.Errorf("cancelled: %+v, %v", r, err)
	}
}

// A program that unmaps its memory is let be.
func TestDoWithoutMemory(t *testing.T) {
	memory, p := pool(t)
	if err := unix.Mprotect(memory, unix.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	if r, err := p.Do(t.Context()); err != nil || r.Passes != 1 || r.Ended {
		t.Errorf("%+v, %v", r, err)
	}
}

// A program that ends is the end. What has its number then, and has mapped what it had, is another.
func TestNumberOfAnother(t *testing.T) {
	dir := t.TempDir()
	ends := exec.Command("sleep", "60")
	if err := ends.Start(); err != nil {
		t.Fatal(err)
	}
	end := sync.OnceFunc(func() {
		_ = ends.Process.Kill()
		_ = ends.Wait() // of the signal
	})
	t.Cleanup(end)
	pid := ends.Process.Pid
	pool := create(t, filepath.Join(dir, "pool"))
	of := filepath.Join(dir, "proc", strconv.Itoa(pid))
	var stat unix.Stat_t
	if err := unix.Fstat(int(pool.Fd()), &stat); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(of, "map_files/7f0000000000-7f0000010000")
	for _, err := range []error{
		os.MkdirAll(filepath.Dir(link), 0o700), os.Symlink(pool.Name(), link),
		os.WriteFile(filepath.Join(of, "maps"), fmt.Appendf(nil, "7f0000000000-7f0000010000 rw-s 00000000 %02x:%02x %d %s\n",
			unix.Major(stat.Dev), unix.Minor(stat.Dev), stat.Ino, pool.Name()), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	o := Options{PID: uint32(pid), Proc: filepath.Join(dir, "proc")}
	p, err := Hold(o)
	if err != nil || len(p.Targets) != 1 {
		t.Fatalf("%+v, %v", p, err)
	}
	defer p.Close()
	end()
	// What the number leads to now is nothing to write back, and says so.
	if err := errors.Join(os.Remove(link), os.Symlink(link, link)); err != nil {
		t.Fatal(err)
	}
	if r, err := p.Do(t.Context()); err != nil || !r.Ended || r.Passes != 0 || r.AdvisedBytes != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := Hold(o); err == nil || !strings.Contains(err.Error(), "no process") {
		t.Errorf("once it has ended: %v", err)
	}
}
