package lab

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/u-root/u-root/pkg/cpio"

	"umemstress/soft-roce/lab/internal/proto"
	"umemstress/soft-roce/lab/kernels"
)

// TestInitramfs reads the archives back as the kernel does, one after the other.
func TestInitramfs(t *testing.T) {
	dir := t.TempDir()
	modules := filepath.Join(dir, "modules.cpio")
	f, err := os.Create(modules)
	if err != nil {
		t.Fatal(err)
	}
	err = kernels.WriteArchive(f, []cpio.Record{cpio.StaticFile(proto.ModulesPath+"/"+proto.StageBus+"/000-virtio.ko", "module", 0o644)})
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
	want := proto.Spec{Release: "5.10.0-30-amd64", Program: []string{"sh", "-c", "a\nb"}, Dir: "/", Device: true,
		Shares: []proto.Share{{Tag: "share0", Path: "/srv"}}}
	memory, err := buildInitramfs(&kernels.Kernel{BootModules: modules}, executable, "/bin/sh", &want, nil)
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
		var got proto.Spec
		if err := json.Unmarshal(content, &got); err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(got.Loaded, func(f proto.LoadedFile) bool { return f.Name == proto.InitPath && f.Path == executable }) {
			t.Errorf("the guest would not find the executable in memory: %+v", got.Loaded)
		}
		if !slices.Equal(got.Program, want.Program) || !slices.Equal(got.Shares, want.Shares) || !got.Device {
			t.Errorf("spec %+v, want %+v", got, want)
		}
	}
}
