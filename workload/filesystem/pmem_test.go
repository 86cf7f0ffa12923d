package filesystem

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"umemstress/workload/internal/worktest"
	"umemstress/workload/scenario"
)

// image is a file of so many bytes, with a file system of the kind on it.
func image(t *testing.T, kind Kind, size int64) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "image"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	if _, err := kind.make(context.Background(), f, 1<<20); err != nil {
		t.Fatal(err)
	}
	return f
}

// A device is taken that holds nothing, or a file system of a run's own; whatever else there is on it, and
// be it one byte at its end, is somebody's.
func TestPmemIsFree(t *testing.T) {
	const size = 64 << 20
	own, _ := scenario.Find(Kinds(), "ext4-dax")
	ownXFS, _ := scenario.Find(Kinds(), "xfs-dax")
	theirs, _ := scenario.Find(Kinds(), "ext4")
	theirXFS, _ := scenario.Find(Kinds(), "xfs")
	theirXFS.env = ownXFS.env // to have it as small
	last := make([]byte, size)
	last[size-1] = 1
	half := make([]byte, size) // a label alone is no file system
	copy(half[1024+0x78:], ownLabel)
	for name, tt := range map[string]struct {
		device interface {
			ReadAt([]byte, int64) (int, error)
		}
		size int64
		want bool
	}{
		"nothing":           {bytes.NewReader(make([]byte, size)), size, true},
		"less than a MiB":   {bytes.NewReader(make([]byte, 4096)), 4096, true},
		"a run's own":       {image(t, own, size), size, true},
		"a run's own XFS":   {image(t, ownXFS, size), size, true},
		"somebody's ext4":   {image(t, theirs, size), size, false},
		"somebody's XFS":    {image(t, theirXFS, size), size, false},
		"a byte at its end": {bytes.NewReader(last), size, false},
		"a label":           {bytes.NewReader(half), size, false},
		"some bytes":        {bytes.NewReader([]byte("hello")), 5, false},
	} {
		if free, err := isFree(tt.device, tt.size); err != nil || free != tt.want {
			t.Errorf("%s: %v, %v; want %v", name, free, err, tt.want)
		}
	}
	if _, err := isFree(bytes.NewReader(nil), 4096); err == nil {
		t.Error("what cannot be read is taken for something")
	}
}

// The copy is whole, whatever the device had before, and its first MiB tells whose it is. It can be broken off.
func TestPmemCopy(t *testing.T) {
	const size = 64 << 20
	own, _ := scenario.Find(Kinds(), "ext4-dax")
	from := image(t, own, size)
	device, err := os.Create(filepath.Join(t.TempDir(), "device"))
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	stale := bytes.Repeat([]byte{7}, size)
	if _, err := device.WriteAt(stale, 0); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 1<<20)
	if _, err := from.ReadAt(head, 0); err != nil || !isOwn(head) {
		t.Fatalf("the first MiB does not tell whose it is, %v", err)
	}
	if err := copyLabelFirst(t.Context(), device, from, size); err != nil {
		t.Fatal(err)
	}
	got, want := make([]byte, size), make([]byte, size)
	_, err = device.ReadAt(got, 0)
	_, failed := from.ReadAt(want, 0)
	if err != nil || failed != nil || !bytes.Equal(got, want) {
		t.Errorf("the copy is another, %v, %v", err, failed)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := copyLabelFirst(ended, device, from, size); err == nil {
		t.Error("a copy that was broken off tells of no error")
	}
}

func TestPmemRefused(t *testing.T) {
	dax, _ := scenario.Find(Kinds(), "ext4-dax")
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for device, want := range map[string]string{
		path:             "it is no block device",
		path + "-absent": "name a device of persistent memory",
		"/dev/null":      "it is no block device",
	} {
		_, err := OnPmem(device, t.TempDir(), dax, 1<<20)
		worktest.WantUsage(t, err, want)
	}
}

// A file that has a page cache is none for the scenario.
func TestFileNotMappedDirectly(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	dax, _ := scenario.Find(Kinds(), "ext4-dax")
	worktest.WantUsage(t, checkDAX("file", f, dax), "--file file: it is not mapped directly (DAX)")
	ext4, _ := scenario.Find(Kinds(), "ext4")
	if err := checkDAX("file", f, ext4); err != nil {
		t.Error(err)
	}
}
