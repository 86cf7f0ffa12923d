package kernels

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"umemstress/soft-roce/lab/internal/labtest"
)

// pkg is a package of a kernel that has everything built in.
type pkg struct {
	name, release, version string
	files                  string // which it has: "image", "modules" or both
	arch                   string // empty: amd64
	below                  string // where the modules are: empty, or usr/
	without                string // a module that the kernel does not have
	monolithic             bool   // it is configured to have no modules
	fat                    int    // bytes of random content
	filler                 int    // files that it is in; 0: one
	installed              int    // KiB that it says it takes; 0: it says nothing
}

// build makes the package's file in dir.
func (p pkg) build(t *testing.T, dir string) string {
	t.Helper()
	tree := filepath.Join(t.TempDir(), "tree")
	write := func(path string, content string) {
		t.Helper()
		path = filepath.Join(tree, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		labtest.WriteFile(t, path, content)
	}
	if strings.Contains(p.files, "modules") {
		var builtin strings.Builder
		for _, stage := range bootStages {
			for _, m := range stage.required {
				if m.name != p.without {
					fmt.Fprintf(&builtin, "kernel/drivers/%s.ko\n", m.name)
				}
			}
		}
		modules := p.below + "lib/modules/" + p.release
		write(modules+"/modules.builtin", builtin.String())
		write(modules+"/modules.builtin.modinfo", "")
		write(modules+"/modules.order", "")
	}
	if strings.Contains(p.files, "image") {
		write("boot/vmlinuz-"+p.release, "no image\n")
		config := configWithout(p.without)
		if p.monolithic {
			config = strings.ReplaceAll(config, "=m\n", "=y\n")
		}
		write("boot/config-"+p.release, config)
	}
	if p.fat > 0 {
		noise := make([]byte, p.fat)
		rand.NewChaCha8([32]byte{}).Read(noise)
		for i, part := range slices.Collect(slices.Chunk(noise, p.fat/max(p.filler, 1))) {
			write(fmt.Sprint("usr/share/fat/", i), string(part))
		}
	}
	arch := cmp.Or(p.arch, "amd64")
	size := ""
	if p.installed > 0 {
		size = fmt.Sprintf("Installed-Size: %d\n", p.installed)
	}
	write("DEBIAN/control", size+"Package: "+p.name+"\nVersion: "+p.version+
		"\nArchitecture: "+arch+"\nMaintainer: nobody <nobody@example.org>\nDescription: test\n")
	path := filepath.Join(dir, p.name+"_"+p.version+"_"+arch+".deb")
	if out, err := exec.Command("dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, path).CombinedOutput(); err != nil {
		t.Fatalf("dpkg-deb: %v: %s", err, out)
	}
	return path
}

// configWithout is what a kernel with all that the guest boots with built in was configured with, but for a module.
func configWithout(module string) string {
	text := "# Linux/x86 6.1.0 Kernel Configuration\nCONFIG_X86_64=y\n" + strings.Replace(Fragment, "CONFIG_XFS_FS=y", "CONFIG_XFS_FS=m", 1)
	for _, stage := range bootStages {
		for _, m := range stage.required {
			if m.name == module {
				text = strings.ReplaceAll(text, "CONFIG_"+m.option+"=y", "# CONFIG_"+m.option+" is not set")
			}
		}
	}
	return text
}

// buildPackage makes the package of a whole kernel.
func buildPackage(t *testing.T, dir, release, version string) string {
	t.Helper()
	return pkg{name: "linux-image-" + release, release: release, version: version, files: "image+modules"}.build(t, dir)
}

// fakeMirror has packages made by buildPackage and counts what is fetched.
type fakeMirror struct {
	t       *testing.T
	has     []stockKernel
	looked  atomic.Int32
	fetched atomic.Int32
	mu      sync.Mutex
	suites  []string
}

func (m *fakeMirror) list(_ context.Context, suites []string) ([]stockKernel, error) {
	m.looked.Add(1)
	m.mu.Lock()
	m.suites = suites
	m.mu.Unlock()
	return slices.Clone(m.has), nil
}

func (m *fakeMirror) fetch(_ context.Context, stock stockKernel, dir string) ([]string, error) {
	m.fetched.Add(1)
	// As apt does, it fetches from the suites that were looked at last.
	m.mu.Lock()
	suites := m.suites
	m.mu.Unlock()
	if want, err := suitesFor(stock.Release); err != nil || suites[0] != "sid" && suites[0] != want[0] {
		return nil, fmt.Errorf("%s is not in %s: %w", stock.Release, suites, err)
	}
	return []string{buildPackage(m.t, dir, stock.Release, stock.Version)}, nil
}

func newTestStore(t *testing.T, has ...stockKernel) (*Store, *fakeMirror) {
	m := &fakeMirror{t: t, has: has}
	return &Store{Dir: filepath.Join(t.TempDir(), "kernels"), mirror: m}, m
}

func TestFindFetchesOnce(t *testing.T) {
	s, m := newTestStore(t, stockKernel{"5.10.0-30-amd64", "5.10.218-1"}, stockKernel{"5.10.0-46-amd64", "5.10.262-1"})
	for range 2 {
		k, err := s.Find(t.Context(), "5.10")
		if err != nil {
			t.Fatal(err)
		}
		if k.Release != "5.10.0-46-amd64" {
			t.Errorf("5.10 is %s, want the newest", k.Release)
		}
		for _, path := range []string{k.Image, filepath.Join(k.Modules, "modules.dep"), k.BootModules} {
			if _, err := os.Stat(path); err != nil {
				t.Error(err)
			}
		}
	}
	if m.looked.Load() != 1 || m.fetched.Load() != 1 {
		t.Errorf("the mirror was asked %d times and gave %d kernels, want 1 and 1", m.looked.Load(), m.fetched.Load())
	}
	// An exact version is another kernel, and known afterwards by all its names.
	for _, name := range []string{"5.10.218", "5.10.0-30", "5.10.0-30-amd64", "5.10.218-1"} {
		k, err := s.Find(t.Context(), name)
		if err != nil || k.Release != "5.10.0-30-amd64" {
			t.Errorf("%s is %q, %v", name, k.Release, err)
		}
	}
	if m.fetched.Load() != 2 {
		t.Errorf("%d kernels were fetched, want 2", m.fetched.Load())
	}
	left, err := filepath.Glob(filepath.Join(s.Dir, ".new-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

func TestFetchTakesTheNewestAnew(t *testing.T) {
	s, m := newTestStore(t, stockKernel{"6.1.0-50-amd64", "6.1.176-1"})
	if _, err := s.Find(t.Context(), "6.1"); err != nil {
		t.Fatal(err)
	}
	m.has = append(m.has, stockKernel{"6.1.0-56-amd64", "6.1.192-2"})
	if k, err := s.Find(t.Context(), "6.1"); err != nil || k.Release != "6.1.0-50-amd64" {
		t.Errorf("Find gave %q, %v, want the cached one", k.Release, err)
	}
	if k, err := s.Fetch(t.Context(), "6.1"); err != nil || k.Release != "6.1.0-56-amd64" {
		t.Errorf("Fetch gave %q, %v", k.Release, err)
	}
	if k, err := s.Find(t.Context(), "6.1"); err != nil || k.Release != "6.1.0-56-amd64" {
		t.Errorf("Find gave %q, %v, want the one fetched last", k.Release, err)
	}
	entries, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(entries, func(e Entry) bool { return e.Name == "6.1" })
	if i < 0 || entries[i].Version != "6.1.192-2" {
		t.Errorf("List: %+v", entries)
	}
	if last := entries[len(entries)-1]; last.Name != "6.1.0-50-amd64" {
		t.Errorf("List ends with %+v, want the older kernel", last)
	}
}

func TestUnknownVersion(t *testing.T) {
	s, _ := newTestStore(t, stockKernel{"5.10.0-46-amd64", "5.10.262-1"}, stockKernel{"5.10.0-46-rt-amd64", "5.10.262-1"})
	_, err := s.Find(t.Context(), "5.10.999")
	var usage interface{ Usage() bool }
	if !errors.As(err, &usage) || !usage.Usage() || !strings.Contains(err.Error(), "which have 5.10.0-46-amd64 (5.10.262-1); older") {
		t.Errorf("Find = %v, want a usage error with what there is", err)
	}
	if _, err := s.Find(t.Context(), "5.10.0-1-rt"); err == nil || !strings.Contains(err.Error(), "which have 5.10.0-46-rt-amd64 (5.10.262-1); older") {
		t.Errorf("Find = %v, want the flavours that there are", err)
	}
	if k, err := s.Find(t.Context(), "5.10.0-46-rt-amd64"); err != nil || k.Release != "5.10.0-46-rt-amd64" {
		t.Errorf("Find = %q, %v", k.Release, err)
	}
}

func TestPackageDirBeforeMirror(t *testing.T) {
	s, m := newTestStore(t, stockKernel{"5.10.0-46-amd64", "5.10.262-1"})
	s.PackageDir = t.TempDir()
	path := buildPackage(t, s.PackageDir, "5.10.0-30-amd64", "5.10.218-1")
	sum, err := sha256File(path)
	if err != nil {
		t.Fatal(err)
	}
	sums := filepath.Join(s.PackageDir, "SHA256SUMS")
	labtest.WriteFile(t, sums, sum+"  "+filepath.Base(path)+"\n")
	k, err := s.Find(t.Context(), "5.10")
	if err != nil || k.Release != "5.10.0-30-amd64" {
		t.Fatalf("Find = %q, %v", k.Release, err)
	}
	if m.looked.Load() != 0 {
		t.Error("the mirror was asked")
	}
	// A file by its path is the same kernel.
	again, err := s.Find(t.Context(), path)
	if err != nil || again != k {
		t.Errorf("Find(path) = %+v, %v; want %+v", again, err, k)
	}
	labtest.WriteFile(t, sums, strings.Repeat("0", 64)+"  "+filepath.Base(path)+"\n")
	if _, err := s.Find(t.Context(), "5.10"); err == nil || !strings.Contains(err.Error(), "SHA256SUMS") {
		t.Errorf("with a wrong sum: %v", err)
	}
	// What the directory does not have comes from the mirror.
	if k, err := s.Find(t.Context(), "5.10.262"); err != nil || k.Release != "5.10.0-46-amd64" {
		t.Errorf("Find = %q, %v", k.Release, err)
	}
}

func TestTwoFindersOneFetch(t *testing.T) {
	s, m := newTestStore(t, stockKernel{"7.2.13+deb14-amd64", "7.2.13-1"})
	var wg sync.WaitGroup
	for range 4 {
		// Each has its own lock, as another process would.
		other := &Store{Dir: s.Dir, mirror: m}
		wg.Go(func() {
			if k, err := other.Find(t.Context(), "sid"); err != nil || k.Release != "7.2.13+deb14-amd64" {
				t.Errorf("Find = %q, %v", k.Release, err)
			}
		})
	}
	wg.Wait()
	if m.fetched.Load() != 1 {
		t.Errorf("%d fetches, want 1", m.fetched.Load())
	}
}

// Two that want kernels of different suites do not take the package lists from each other.
func TestTwoFindersOfTwoSuites(t *testing.T) {
	for range 3 {
		s, m := newTestStore(t, stockKernel{"5.10.0-46-amd64", "5.10.262-1"}, stockKernel{"6.1.0-56-amd64", "6.1.192-2"})
		var wg sync.WaitGroup
		for _, name := range []string{"5.10", "6.1"} {
			other := &Store{Dir: s.Dir, mirror: m}
			wg.Go(func() {
				if k, err := other.Find(t.Context(), name); err != nil || !strings.HasPrefix(k.Release, name) {
					t.Errorf("%s: %q, %v", name, k.Release, err)
				}
			})
		}
		wg.Wait()
	}
}

// What a dead process left is removed, but not under a tool of it that still writes there.
func TestAddSweepsWhatADeadProcessLeft(t *testing.T) {
	s, _ := newTestStore(t, stockKernel{"5.10.0-46-amd64", "5.10.262-1"}, stockKernel{"6.1.0-56-amd64", "6.1.192-2"})
	stale := filepath.Join(s.Dir, ".new-123/kernel")
	if err := os.MkdirAll(stale, 0o755); err != nil {
		t.Fatal(err)
	}
	w, err := s.newWorkshop()
	if err != nil {
		t.Fatal(err)
	}
	// As tar goes on unpacking when dpkg-deb and the lab are killed.
	tar := exec.Command("sh", "-c", `mkdir "$1/tree" && echo ready && while :; do : >"$1/tree/$((i=i+1))"; done`, "sh", w.dir)
	tar.ExtraFiles = []*os.File{w.held}
	out, err := tar.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := tar.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, len("ready\n"))); err != nil {
		t.Fatal(err)
	}
	w.held.Close()
	if _, err := s.Find(t.Context(), "5.10"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(stale); !os.IsNotExist(err) {
		t.Errorf("the stale directory is still there: %v", err)
	}
	if _, err := os.Stat(w.dir); err != nil {
		t.Errorf("removed under a tool that writes there: %v", err)
	}
	if err := tar.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := tar.Wait(); err == nil {
		t.Error("it was not killed")
	}
	if _, err := s.Find(t.Context(), "6.1"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(w.dir); !os.IsNotExist(err) {
		t.Errorf("it is still there: %v", err)
	}
}
