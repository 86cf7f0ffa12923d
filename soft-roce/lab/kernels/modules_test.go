package kernels

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"

	"umemstress/soft-roce/lab/internal/labtest"
)

func TestParseShowDepends(t *testing.T) {
	files, builtin := parseShowDepends(`insmod /m/kernel/drivers/virtio/virtio.ko 
insmod /m/kernel/drivers/virtio/virtio_ring.ko 
insmod /m/kernel/drivers/virtio/virtio_pci.ko opt=1
insmod /m/kernel/drivers/virtio/virtio.ko 
builtin ext4

`)
	want := []string{
		"/m/kernel/drivers/virtio/virtio.ko",
		"/m/kernel/drivers/virtio/virtio_ring.ko",
		"/m/kernel/drivers/virtio/virtio_pci.ko",
	}
	if !slices.Equal(files, want) || !slices.Equal(builtin, []string{"ext4"}) {
		t.Errorf("files %q, builtin %q", files, builtin)
	}
}

func TestModuleName(t *testing.T) {
	for path, want := range map[string]string{
		"/m/crc32c-intel.ko":       "crc32c_intel",
		"/m/ext4.ko.xz":            "ext4",
		"/m/virtio-rng.ko.zst":     "virtio_rng",
		"/m.ko/x/9pnet_virtio.ko":  "9pnet_virtio",
		"/m/aegis128-aesni.ko.gz ": "aegis128_aesni",
	} {
		if got := moduleName(path); got != want {
			t.Errorf("moduleName(%q) = %q, want %q", path, got, want)
		}
	}
}

func TestReadModule(t *testing.T) {
	dir := t.TempDir()
	content := strings.Repeat("\x7fELF module ", 100)
	var packed bytes.Buffer
	w, err := xz.NewWriter(&packed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	labtest.WriteFile(t, filepath.Join(dir, "a.ko"), content)
	labtest.WriteFile(t, filepath.Join(dir, "b.ko.xz"), packed.String())
	labtest.WriteFile(t, filepath.Join(dir, "c.ko.lzo"), content)
	for _, name := range []string{"a.ko", "b.ko.xz"} {
		if got, err := readModule(filepath.Join(dir, name)); err != nil || string(got) != content {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	if _, err := readModule(filepath.Join(dir, "c.ko.lzo")); err == nil {
		t.Error("an unknown compression was read")
	}
}

// An archive that is not what was written is written anew, and one that is stays.
func TestDamagedBootModules(t *testing.T) {
	s, _ := newTestStore(t)
	deb := pkg{name: "any", release: "6.1.0-56-amd64", version: "1", files: "image+modules"}.build(t, t.TempDir())
	find := func() Kernel {
		k, err := s.Find(t.Context(), deb)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	path := find().BootModules
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func() error{
		"gone":           func() error { return os.Remove(path) },
		"empty":          func() error { return os.WriteFile(path, nil, 0o600) },
		"half":           func() error { return os.WriteFile(path, whole[:len(whole)/2], 0o600) },
		"noise":          func() error { return os.WriteFile(path, bytes.Repeat([]byte{7}, len(whole)), 0o600) },
		"a directory":    func() error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o755)) },
		"without a hash": func() error { return os.Remove(path + sumSuffix) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(find().BootModules); err != nil || !bytes.Equal(got, whole) {
			t.Errorf("%s: %d bytes, %v; want %d", name, len(got), err, len(whole))
		}
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(find().BootModules); err != nil || !os.SameFile(before, after) {
		t.Errorf("an intact one was written anew: %v", err)
	}
}
