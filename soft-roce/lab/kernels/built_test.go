package kernels

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"umemstress/soft-roce/lab/internal/labtest"
)

// installTree makes what the kernel's own build installs.
func installTree(t *testing.T, release, image string) func(tree string) error {
	return func(tree string) error {
		var builtin strings.Builder
		for _, stage := range bootStages {
			for _, m := range stage.required {
				fmt.Fprintf(&builtin, "kernel/drivers/%s.ko\n", m.name)
			}
		}
		for path, content := range map[string]string{
			"boot/vmlinuz-" + release: image, "boot/config-" + release: configWithout(""),
			"lib/modules/" + release + "/modules.builtin": builtin.String(),
			"lib/modules/" + release + "/modules.order":   "",
		} {
			if err := os.MkdirAll(filepath.Join(tree, filepath.Dir(path)), 0o755); err != nil {
				return err
			}
			labtest.WriteFile(t, filepath.Join(tree, path), content)
		}
		return nil
	}
}

// A kernel that was built is found by its name alone, and one of the name replaces it.
func TestInstall(t *testing.T) {
	s, _ := newTestStore(t)
	built := Built{Name: "5.10-mine", Source: "Debian's linux 5.10.262-1", Without: []string{"cc5095747edf"}, Patches: []string{"a.patch"}}
	const release = "5.10.262-mine"
	install := func(image string) Kernel {
		t.Helper()
		k, err := s.Install(t.Context(), release, "5.10.262-1", built, installTree(t, release, image))
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	first := install("one")
	if again := install("one"); again.Dir() != first.Dir() {
		t.Errorf("the same image is in %s and %s", first.Dir(), again.Dir())
	}
	second := install("two")
	found, err := s.Find(t.Context(), built.Name)
	if err != nil || found.Release != release || found.Dir() != second.Dir() {
		t.Errorf("Find = %+v, %v; want %s", found, err, second.Dir())
	}
	if isDir(first.Dir()) {
		t.Errorf("the kernel that was replaced is still in %s", first.Dir())
	}
	if image, err := os.ReadFile(found.Image); err != nil || string(image) != "two" {
		t.Errorf("the image is %q, %v", image, err)
	}
	for _, stock := range []string{"5.10.262-1", "5.10.262"} {
		if k, err := s.Cached(stock); err != nil || k.Release != "" {
			t.Errorf("%s, which is Debian's, is %+v, %v", stock, k, err)
		}
	}
	entries, err := s.List()
	last := entries[len(entries)-1]
	const how = "built from Debian's linux 5.10.262-1 without cc5095747edf with a.patch"
	if err != nil || last.Name != built.Name || last.Built == nil || last.Built.String() != how {
		t.Errorf("List = %+v, %v", last, err)
	}
}

// A kernel that cannot be installed leaves the one of its name as it was.
func TestInstallFails(t *testing.T) {
	s, _ := newTestStore(t)
	built := Built{Name: "mine", Source: "/src"}
	k, err := s.Install(t.Context(), "6.1.0-mine", "6.1.0", built, installTree(t, "6.1.0-mine", "one"))
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("modules_install")
	for name, fill := range map[string]func(string) error{
		"interrupted": func(string) error { return context.Canceled },
		"failed":      func(string) error { return broken },
		"no image":    func(tree string) error { return os.Mkdir(filepath.Join(tree, "boot"), 0o755) },
		"another one": installTree(t, "6.1.0-yours", "two"),
	} {
		if _, err := s.Install(t.Context(), "6.1.0-mine", "6.1.0", built, fill); err == nil {
			t.Errorf("%s: installed", name)
		}
	}
	if found, err := s.Find(t.Context(), "mine"); err != nil || found != k {
		t.Errorf("Find = %+v, %v; want %+v", found, err, k)
	}
	if left, _ := filepath.Glob(filepath.Join(s.Dir, newPrefix+"*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestCheckName(t *testing.T) {
	for _, good := range []string{"mine", "5.10-built", "5.10-without-cc5095747edf", "6.1-without-d824ec2a1546-patched", "linux-next"} {
		if err := CheckName(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{
		"", "5.10", "sid", "5.10-unfixed", "5.10.262", "5.10.262-1", "5.10.0-30", "6.1.0-56-amd64", "a.deb", "a.tar.xz",
		"a/b", "..", "-x", ".x", "a b", "a\nb", strings.Repeat("x", maxName+1),
	} {
		var usage interface{ Usage() bool }
		if err := CheckName(bad); !errors.As(err, &usage) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
