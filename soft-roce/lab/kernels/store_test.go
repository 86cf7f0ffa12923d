package kernels

import (
	"context"
	"errors"
	"fmt"
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

// buildPackage makes the package of a kernel that has everything built in.
func buildPackage(t *testing.T, dir, release, version string) string {
	t.Helper()
	tree := filepath.Join(t.TempDir(), "tree")
	modules := filepath.Join(tree, "lib/modules", release)
	for _, d := range []string{filepath.Join(tree, "DEBIAN"), filepath.Join(tree, "boot"), modules} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var builtin strings.Builder
	for _, stage := range bootStages {
		for _, name := range stage.required {
			fmt.Fprintf(&builtin, "kernel/drivers/%s.ko\n", name)
		}
	}
	labtest.WriteFile(t, filepath.Join(modules, "modules.builtin"), builtin.String())
	labtest.WriteFile(t, filepath.Join(modules, "modules.builtin.modinfo"), "")
	labtest.WriteFile(t, filepath.Join(modules, "modules.order"), "")
	labtest.WriteFile(t, filepath.Join(tree, "boot/vmlinuz-"+release), "no image\n")
	labtest.WriteFile(t, filepath.Join(tree, "boot/config-"+release), "CONFIG_PVH=y\n")
	labtest.WriteFile(t, filepath.Join(tree, "DEBIAN/control"), "Package: linux-image-"+release+"\nVersion: "+version+
		"\nArchitecture: amd64\nMaintainer: nobody <nobody@example.org>\nDescription: test\n")
	path := filepath.Join(dir, "linux-image-"+release+"_"+version+"_amd64.deb")
	if out, err := exec.Command("dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, path).CombinedOutput(); err != nil {
		t.Fatalf("dpkg-deb: %v: %s", err, out)
	}
	return path
}

// fakeMirror has packages made by buildPackage and counts what is fetched.
type fakeMirror struct {
	t       *testing.T
	has     []stockKernel
	looked  atomic.Int32
	fetched atomic.Int32
}

func (m *fakeMirror) list(_ context.Context, _ []string, name string) ([]stockKernel, error) {
	m.looked.Add(1)
	return slices.DeleteFunc(slices.Clone(m.has), func(i stockKernel) bool { return !i.is(name) }), nil
}

func (m *fakeMirror) fetch(_ context.Context, stock stockKernel, dir string) ([]string, error) {
	m.fetched.Add(1)
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
	s, _ := newTestStore(t)
	_, err := s.Find(t.Context(), "5.10.999")
	var usage interface{ Usage() bool }
	if !errors.As(err, &usage) || !usage.Usage() {
		t.Errorf("Find = %v, want a usage error", err)
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

func TestBadPackageFiles(t *testing.T) {
	s, _ := newTestStore(t)
	dir := t.TempDir()
	labtest.WriteFile(t, filepath.Join(dir, "junk.deb"), "junk")
	for _, path := range []string{filepath.Join(dir, "none.deb"), filepath.Join(dir, "junk.deb")} {
		_, err := s.Find(t.Context(), path)
		var usage interface{ Usage() bool }
		if !errors.As(err, &usage) || !usage.Usage() {
			t.Errorf("Find(%s) = %v, want a usage error", path, err)
		}
	}
}

func TestAddSweepsWhatADeadProcessLeft(t *testing.T) {
	s, _ := newTestStore(t, stockKernel{"5.10.0-46-amd64", "5.10.262-1"})
	stale := filepath.Join(s.Dir, ".new-123/kernel")
	if err := os.MkdirAll(stale, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Find(t.Context(), "5.10"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(stale); !os.IsNotExist(err) {
		t.Errorf("the stale directory is still there: %v", err)
	}
}
