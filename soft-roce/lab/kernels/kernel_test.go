package kernels

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"umemstress/soft-roce/lab/internal/labtest"
)

func TestCustomKernelChecksItsFiles(t *testing.T) {
	dir := t.TempDir()
	image := filepath.Join(dir, "bzImage")
	modules := filepath.Join(dir, "lib/modules/6.9.0-mine")
	labtest.WriteFile(t, image, "")
	if err := os.MkdirAll(modules, 0o755); err != nil {
		t.Fatal(err)
	}
	if k, err := Custom(t.Context(), image, modules, nil); err != nil || k.Release != "6.9.0-mine" || k.Image != image {
		t.Errorf("Custom = %+v, %v", k, err)
	}
	if _, err := os.Stat(filepath.Join(modules, "modules.dep")); err != nil {
		t.Errorf("depmod did not run: %v", err)
	}
	header := func(release string) string {
		h := make([]byte, 0x400)
		copy(h[0x202:], "HdrS")
		h[0x20f] = 1 // 0x100, after 0x200
		copy(h[0x300:], release+" (me@here) #1 SMP")
		return string(h)
	}
	padding := strings.Repeat("\x00", 1<<20-20)
	for name, content := range map[string]string{
		"bzImage of another":  header("6.9.0-yours"),
		"vmlinux of another":  "\x7fELF" + padding + "Linux version %s (%s)\x00" + padding + "Linux version 6.9.0-yours (me@here) #1\x00" + padding,
		"vmlinux, at its end": "\x7fELF" + padding + "Linux version 6.9.0-yours (",
	} {
		other := filepath.Join(dir, "other")
		labtest.WriteFile(t, other, content)
		_, err := Custom(t.Context(), other, modules, nil)
		if err == nil || !strings.Contains(err.Error(), "is kernel 6.9.0-yours") || !strings.Contains(err.Error(), "6.9.0-mine") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, same := range []string{header("6.9.0-mine"), "\x7fELF" + padding + "Linux version 6.9.0-mine (me"} {
		labtest.WriteFile(t, image, same)
		if _, err := Custom(t.Context(), image, modules, nil); err != nil {
			t.Errorf("of the same release: %v", err)
		}
	}
	for what, bad := range map[string][2]string{
		"not called …/lib/modules/RELEASE": {image, dir},
		"there is no such directory":       {image, filepath.Join(dir, "none")},
		"the file of a kernel's image":     {"5.10", modules},
	} {
		var usage interface{ Usage() bool }
		if _, err := Custom(t.Context(), bad[0], bad[1], nil); !errors.As(err, &usage) || !strings.Contains(err.Error(), what) {
			t.Errorf("%q: %v, want %q", bad, err, what)
		}
	}
}
