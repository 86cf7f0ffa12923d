package kernels

import (
	"bytes"
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
