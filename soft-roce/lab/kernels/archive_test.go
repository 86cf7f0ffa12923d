package kernels

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"umemstress/soft-roce/lab/internal/labtest"
)

// archive packs a kernel as its own build does.
func archive(t *testing.T, path, release string) string {
	t.Helper()
	tree := t.TempDir()
	deb := pkg{name: "any", release: release, version: "1", files: "image+modules"}.build(t, t.TempDir())
	for _, cmd := range [][]string{
		{"dpkg-deb", "-x", deb, tree},
		// What these links lead to is not there.
		{"ln", "-s", "/nowhere", filepath.Join(tree, "lib/modules", release, "build")},
		{"tar", "--create", "--auto-compress", "--file", path, "--directory", tree, "boot", "lib"},
	} {
		if out, err := exec.Command(cmd[0], cmd[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", cmd, err, out)
		}
	}
	return path
}

// What 'make tar-pkg' and 'make tarxz-pkg' leave is a kernel.
func TestKernelOfArchive(t *testing.T) {
	const release = "6.1.999-mine"
	for _, name := range []string{"linux.tar", "linux.tar.gz", "linux.tar.xz"} {
		s, m := newTestStore(t)
		k, err := s.Find(t.Context(), archive(t, filepath.Join(t.TempDir(), name), release))
		if err != nil || k.Release != release || m.looked.Load() != 0 {
			t.Errorf("%s: %+v, %v", name, k, err)
			continue
		}
		for _, path := range []string{k.Image, filepath.Join(k.Modules, "modules.dep"), k.BootModules} {
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := os.Lstat(filepath.Join(k.Modules, "build")); err == nil {
			t.Errorf("%s: the link to its sources was unpacked", name)
		}
		// It is known by the number that it has.
		if again, err := s.Cached("6.1.999"); err != nil || again.Release != release {
			t.Errorf("%s: %+v, %v", name, again, err)
		}
	}
}

// What 'make tar-pkg' packs of a kernel with everything built in has no lib.
func TestArchiveWithoutModules(t *testing.T) {
	const release = "6.9.0-mono"
	tree, path := t.TempDir(), filepath.Join(t.TempDir(), "linux.tar")
	deb := pkg{name: "any", release: release, version: "1", files: "image", monolithic: true}.build(t, t.TempDir())
	for _, cmd := range [][]string{{"dpkg-deb", "-x", deb, tree}, {"tar", "--create", "--file", path, "--directory", tree, "."}} {
		if out, err := exec.Command(cmd[0], cmd[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", cmd, err, out)
		}
	}
	s, _ := newTestStore(t)
	if k, err := s.Find(t.Context(), path); err != nil || k.Release != release || !isDir(k.Modules) {
		t.Errorf("%+v, %v", k, err)
	}
}

// A kernel that no mirror has is of the newest archive in the folder, and stays in the store
// without the folder. No stock kernel is taken for it, nor it for one of its line.
func TestSeriesOfArchives(t *testing.T) {
	const name, release = "5.10-unfixed", "5.10.262-bug"
	s, _ := newTestStore(t)
	var missing *NoArchiveError
	if _, err := s.Find(t.Context(), name); !errors.As(err, &missing) || !strings.Contains(err.Error(), "is on no mirror: build it with "+
		"'umemstress lab build --source 5.10 --without-fix cc5095747edf', or name a folder that has linux-5.10.*-unfixed.tar.xz in UMEMSTRESS_KERNEL_DIR") {
		t.Fatalf("without a folder: %v", err)
	}
	const without = "5.10.262-without-cc5095747edf"
	built, err := s.Install(t.Context(), without, "5.10.262-1", Built{Name: missing.Recipe.Name()}, installTree(t, without, "one"))
	if err != nil {
		t.Fatal(err)
	}
	if k, err := s.Find(t.Context(), name); err != nil || k != built {
		t.Errorf("one that was built: %+v, %v", k, err)
	}
	s.PackageDir = t.TempDir()
	pkg{name: "linux-image-5.10.0-30-amd64", release: "5.10.0-30-amd64", version: "5.10.218-1", files: "image+modules"}.build(t, s.PackageDir)
	archive(t, filepath.Join(s.PackageDir, "linux-5.10.261-unfixed.tar.xz"), "5.10.261-bug")
	archive(t, filepath.Join(s.PackageDir, "linux-5.10.262-unfixed.tar.xz"), release)
	if k, err := s.Find(t.Context(), name); err != nil || k.Release != release {
		t.Errorf("%+v, %v", k, err)
	}
	if k, err := s.Find(t.Context(), "5.10"); err != nil || k.Release != "5.10.0-30-amd64" {
		t.Errorf("5.10: %+v, %v", k, err)
	}
	s.PackageDir = ""
	for _, find := range []func() (Kernel, error){
		func() (Kernel, error) { return s.Find(t.Context(), name) },
		func() (Kernel, error) { return s.Fetch(t.Context(), name) },
		func() (Kernel, error) { return s.Cached(name) },
	} {
		if k, err := find(); err != nil || k.Release != release {
			t.Errorf("without the folder: %+v, %v", k, err)
		}
	}
}

func TestBadArchives(t *testing.T) {
	s, _ := newTestStore(t)
	junk := filepath.Join(t.TempDir(), "junk.tar.xz")
	labtest.WriteFile(t, junk, "junk")
	empty := filepath.Join(t.TempDir(), "empty.tar")
	if out, err := exec.Command("tar", "--create", "--file", empty, "--files-from", "/dev/null").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for path, says := range map[string]string{
		junk:             "junk.tar.xz is no archive, or a damaged one",
		empty:            "no image of a kernel is in it",
		"/nowhere/a.tar": "no such file",
	} {
		if _, err := s.Find(t.Context(), path); err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %s", path, err, says)
		}
	}
}
