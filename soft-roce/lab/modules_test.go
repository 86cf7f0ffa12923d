package lab

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/u-root/u-root/pkg/cpio"
	"github.com/ulikunitz/xz"
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
	writeFile(t, filepath.Join(dir, "a.ko"), content)
	writeFile(t, filepath.Join(dir, "b.ko.xz"), packed.String())
	writeFile(t, filepath.Join(dir, "c.ko.lzo"), content)
	for _, name := range []string{"a.ko", "b.ko.xz"} {
		if got, err := readModule(filepath.Join(dir, name)); err != nil || string(got) != content {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	if _, err := readModule(filepath.Join(dir, "c.ko.lzo")); err == nil {
		t.Error("an unknown compression was read")
	}
}

// TestInitramfs reads the archives back as the kernel does, one after the other.
func TestInitramfs(t *testing.T) {
	dir := t.TempDir()
	modules := filepath.Join(dir, "modules.cpio")
	f, err := os.Create(modules)
	if err != nil {
		t.Fatal(err)
	}
	err = writeArchive(f, []cpio.Record{cpio.StaticFile(modulesPath+"/"+stageBus+"/000-virtio.ko", "module", 0o644)})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	want := spec{Release: "5.10.0-30-amd64", Program: []string{"sh", "-c", "a\nb"}, Dir: "/", Device: true,
		Shares: []share{{"share0", "/srv"}}}
	memory, err := buildInitramfs(&Kernel{bootModules: modules}, executable, "/bin/sh", &want)
	if err != nil {
		t.Fatal(err)
	}
	defer memory.Close()
	size, err := memory.Seek(0, 2)
	if err != nil {
		t.Fatal(err)
	}
	raw := make([]byte, size)
	if _, err := memory.ReadAt(raw, 0); err != nil {
		t.Fatal(err)
	}
	end := bytes.Index(raw, []byte(cpio.Trailer))
	if end < 0 {
		t.Fatal("the first archive has no end")
	}
	second := raw[(end+len(cpio.Trailer)+1+3)&^3:]
	for i, part := range [][]byte{raw, second} {
		records, err := cpio.ReadAllRecords(cpio.Newc.Reader(bytes.NewReader(part)))
		if err != nil {
			t.Fatal(err)
		}
		archive := cpio.ArchiveFromRecords(records)
		for _, name := range [][]string{
			{"boot-modules", "boot-modules/0-bus", "boot-modules/0-bus/000-virtio.ko"},
			{"init", "umemstress-lab.json", "bin/sh"},
		}[i] {
			if _, ok := archive.Files[name]; !ok {
				t.Errorf("archive %d has no %s", i, name)
			}
		}
		record, ok := archive.Files["umemstress-lab.json"]
		if !ok {
			continue
		}
		content := make([]byte, record.FileSize)
		if _, err := record.ReadAt(content, 0); err != nil {
			t.Fatal(err)
		}
		var got spec
		if err := json.Unmarshal(content, &got); err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(got.Loaded, func(f loadedFile) bool { return f.Name == initPath && f.Path == executable }) {
			t.Errorf("the guest would not find the executable in memory: %+v", got.Loaded)
		}
		if !slices.Equal(got.Program, want.Program) || !slices.Equal(got.Shares, want.Shares) || !got.Device {
			t.Errorf("spec %+v, want %+v", got, want)
		}
	}
}
