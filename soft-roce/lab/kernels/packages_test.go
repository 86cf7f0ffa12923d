package kernels

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"umemstress/soft-roce/lab/internal/labtest"
)

// What kernel package files have is told by their content, whatever they are called, and be
// it in one or in several.
func TestKernelOfPackages(t *testing.T) {
	const release = "6.1.0-56-rt-amd64"
	for name, packages := range map[string][]pkg{
		"unsigned":         {{name: "linux-image-" + release + "-unsigned", files: "image+modules"}},
		"another's":        {{name: "mylinux", files: "image+modules"}},
		"split":            {{name: "linux-image-" + release, files: "image"}, {name: "linux-modules-" + release, files: "modules"}},
		"split, unordered": {{name: "linux-modules-" + release, files: "modules", below: "usr/"}, {name: "linux-base-" + release, arch: "all"}, {name: "linux-image-unsigned-" + release, files: "image"}},
	} {
		s, m := newTestStore(t)
		dir := t.TempDir()
		var paths []string
		for _, p := range packages {
			p.release, p.version = release, "6.1.192-2"
			paths = append(paths, p.build(t, dir))
		}
		k, err := s.FromPackages(t.Context(), paths)
		if err != nil || k.Release != release {
			t.Errorf("%s: %+v, %v", name, k, err)
			continue
		}
		for _, path := range []string{k.Image, filepath.Join(k.Modules, "modules.dep"), k.BootModules} {
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		// In any order they are the same kernel, which is there already.
		slices.Reverse(paths)
		before, err := os.Stat(k.BootModules)
		if err != nil {
			t.Fatal(err)
		}
		again, err := s.FromPackages(t.Context(), paths)
		if err != nil || again != k || m.looked.Load() != 0 {
			t.Errorf("%s, again: %+v, %v; want %+v", name, again, err, k)
		}
		if after, err := os.Stat(k.BootModules); err != nil || !os.SameFile(before, after) {
			t.Errorf("%s was unpacked again: %v", name, err)
		}
	}
}

// Ubuntu parts a kernel in other ways than Debian, and 'make bindeb-pkg' calls it as it likes: of
// a folder of both, each is found by its release, and a series means neither.
func TestPackageDirOfOthers(t *testing.T) {
	s, m := newTestStore(t, stockKernel{"6.12.117+deb12-amd64", "6.12.117-1~deb12u1"})
	s.PackageDir = t.TempDir()
	const ubuntu, version = "6.8.0-45-generic", "6.8.0-45.45"
	const own = "6.12.0-rc3-00012-gabcdef+"
	for _, p := range []pkg{
		{name: "linux-image-unsigned-" + ubuntu, files: "image"},
		{name: "linux-modules-" + ubuntu, files: "modules"},
		{name: "linux-modules-extra-" + ubuntu, fat: 1},
		{name: "linux-headers-" + ubuntu, files: "image"},
		{name: "linux-image-unsigned-" + ubuntu + "-dbgsym", files: "image"},
	} {
		p.release, p.version = ubuntu, version
		p.build(t, s.PackageDir)
	}
	pkg{name: "linux-image-" + own, release: own, version: "6.12.0-1", files: "image+modules"}.build(t, s.PackageDir)
	pkg{name: "linux-image-" + own + "-dbg", release: own, version: "6.12.0-1", files: "image"}.build(t, s.PackageDir)
	for _, release := range []string{ubuntu, own} {
		files, err := s.packageFiles(release)
		if want := map[string]int{ubuntu: 3, own: 1}[release]; err != nil || len(files) != want {
			t.Errorf("%s: %q, %v; want %d", release, files, err, want)
		}
		if k, err := s.Find(t.Context(), release); err != nil || k.Release != release || m.looked.Load() != 0 {
			t.Errorf("%s: %+v, %v", release, k, err)
		}
	}
	if k, err := s.Find(t.Context(), "6.12"); err != nil || k.Release != m.has[0].Release {
		t.Errorf("6.12: %+v, %v", k, err)
	}
}

// A directory of package files may have a kernel in parts.
func TestPackageDirWithParts(t *testing.T) {
	s, _ := newTestStore(t)
	s.PackageDir = t.TempDir()
	const release, version = "7.2.13+deb14-amd64", "7.2.13-1"
	pkg{name: "linux-image-" + release, release: release, version: version}.build(t, s.PackageDir)
	pkg{name: "linux-binary-" + release, release: release, version: version, files: "image"}.build(t, s.PackageDir)
	pkg{name: "linux-modules-" + release, release: release, version: version, files: "modules", below: "usr/"}.build(t, s.PackageDir)
	pkg{name: "linux-modules-7.1.1+deb14-amd64", release: "7.1.1+deb14-amd64", version: "7.1.1-1", files: "modules"}.build(t, s.PackageDir)
	if k, err := s.Find(t.Context(), "7.2.13"); err != nil || k.Release != release {
		t.Errorf("Find = %q, %v", k.Release, err)
	}
}

func TestBadPackageFiles(t *testing.T) {
	s, _ := newTestStore(t)
	dir := t.TempDir()
	const release = "6.1.0-56-amd64"
	junk := filepath.Join(dir, "junk.deb")
	labtest.WriteFile(t, junk, "junk")
	whole := pkg{name: "linux-image-" + release, release: release, version: "6.1.192-2", files: "image+modules", fat: 1 << 20}.build(t, dir)
	raw, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(dir, "cut.deb")
	labtest.WriteFile(t, cut, string(raw[:len(raw)/2]))
	other := pkg{name: "linux-image-other", release: "6.2.0", version: "6.2.0-1", files: "image+modules"}.build(t, dir)
	for _, tt := range []struct {
		paths []string
		says  string
	}{
		{[]string{filepath.Join(dir, "none.deb")}, "none.deb: no such file"},
		{[]string{junk}, "junk.deb is no Debian package, or a damaged one"},
		{[]string{cut}, "cut.deb is no Debian package, or a damaged one"},
		{[]string{whole, other}, "the images of several kernels are in it, 6.1.0-56-amd64, 6.2.0"},
		{[]string{pkg{name: "hello", version: "1", fat: 1}.build(t, dir)}, "no image of a kernel is in it"},
		{[]string{pkg{name: "image", release: release, version: "1", files: "image"}.build(t, dir)}, "the packages have none of lib/modules/" + release},
		{[]string{pkg{name: "arm", release: release, version: "1", files: "image+modules", arch: "arm64"}.build(t, dir)}, "is a package for arm64"},
	} {
		_, err := s.FromPackages(t.Context(), tt.paths)
		var usage interface{ Usage() bool }
		if !errors.As(err, &usage) || !usage.Usage() || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want a usage error with %q", tt.paths, err, tt.says)
		}
	}
	if left, err := filepath.Glob(filepath.Join(s.Dir, newPrefix+"*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

// A kernel without what the guest boots with is the host's lack, told with all that it lacks.
func TestKernelThatLacksModules(t *testing.T) {
	s, _ := newTestStore(t)
	path := pkg{name: "linux-image-cloud", release: "6.1.0-56-cloud-amd64", version: "1", files: "image+modules", without: "9p"}.build(t, t.TempDir())
	_, err := s.FromPackages(t.Context(), []string{path})
	var lacks interface{ HostLacks() bool }
	if !errors.As(err, &lacks) || !lacks.HostLacks() || !strings.Contains(err.Error(), "kernel 6.1.0-56-cloud-amd64 has neither built in nor as modules what the guest boots with: it takes CONFIG_9P_FS, and 'umemstress lab config' prints") {
		t.Errorf("%v", err)
	}
}

// The fragment that users merge has every option that a guest is refused for, or gets a module by.
func TestFragment(t *testing.T) {
	options := slices.Concat(bootOptions, deviceOptions)
	for _, stage := range bootStages {
		for _, m := range slices.Concat(stage.required, stage.wanted) {
			options = append(options, m.option)
		}
	}
	for _, option := range options {
		if !strings.Contains(Fragment, "\nCONFIG_"+option+"=y\n") {
			t.Errorf("kernel.config lacks CONFIG_%s", option)
		}
	}
	for _, m := range pmemDrivers { // which init loads once modprobe is there
		if !strings.Contains(Fragment, "\nCONFIG_"+m.option+"=m\n") {
			t.Errorf("kernel.config lacks CONFIG_%s, which --pmem takes", m.option)
		}
	}
}
