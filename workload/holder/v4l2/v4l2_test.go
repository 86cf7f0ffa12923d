package v4l2

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/memory"
	"umemstress/workload/internal/worktest"
)

// The least pictures that cover the target are taken, by their whole pages.
func TestChoose(t *testing.T) {
	pictures := func() []picture {
		return []picture{{Width: 640, SizeImage: 460800}, {Width: 320, SizeImage: 115200}, {Width: 2, SizeImage: 4095}, {Width: 1280, SizeImage: 1843200}}
	}
	for _, c := range []struct {
		target int64
		width  uint32
		covers bool
	}{
		{4096, 320, true}, {30 * 28 << 12, 320, true}, {30*28<<12 + 1, 640, true}, {30 * 450 << 12, 1280, true}, {30*450<<12 + 1, 1280, false},
	} {
		if p, covers := choose(pictures(), c.target); p.Width != c.width || covers != c.covers {
			t.Errorf("%d bytes: width %d, %v; want %d, %v", c.target, p.Width, covers, c.width, c.covers)
		}
	}
	if p, covers := choose([]picture{{SizeImage: 4000}}, 4096); covers {
		t.Errorf("no page of %+v is known to be written as a whole", p)
	}
}

// Of vivid's devices those are taken that capture video, into memory that need not be in one piece.
func TestVividNodes(t *testing.T) {
	sysfs := t.TempDir()
	write := func(path, text string) {
		t.Helper()
		path = filepath.Join(sysfs, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text+"\n"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for node, name := range map[string]string{
		"video0": "Integrated Camera", "video1": "vivid-000-vid-cap", "video2": "vivid-000-vid-out", "video3": "vivid-001-vid-cap", "video4": "vivid-002-vid-cap", "vbi0": "vivid-000-vbi-cap",
	} {
		write("class/video4linux/"+node+"/name", name)
	}
	for allocators, want := range map[string][]string{
		"0,0,0": {"/dev/video1", "/dev/video3", "/dev/video4"}, "1,0,2": {"/dev/video3"}, "1": {"/dev/video3", "/dev/video4"}, "": {"/dev/video1", "/dev/video3", "/dev/video4"},
	} {
		write("module/vivid/parameters/allocators", allocators)
		var got []string
		for _, n := range vividNodes(sysfs) {
			got = append(got, n.path)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", allocators, got, want)
		}
	}
}

// What is no device of V4L2 is told in a sentence, and not opened.
func TestGivenWrong(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo") // to open it would wait for ever
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		dir + "/absent": "no such file or directory; name a capture device, such as /dev/video0",
		dir:             "it is no character device; name a capture device",
		fifo:            "it is no character device",
		"%d%s":          "--v4l2-dev %d%s: stat %d%s: no such file or directory",
		"/dev/null":     "--v4l2-dev /dev/null: it is no device of V4L2; name a capture device, such as /dev/video0",
	} {
		_, err := Open(t.Context(), Config{TargetBytes: 4096, Device: path})
		worktest.WantUsage(t, err, want)
	}
}

// The frames of pages are read after the pages have gone from their file, and hold what was written to them
// after the pipe had taken them.
func TestFrames(t *testing.T) {
	const size = 3*pipeBytes + 4096
	fd, err := unix.MemfdCreate("frames", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), "frames")
	defer file.Close()
	if err := file.Truncate(size); err != nil {
		t.Fatal(err)
	}
	mapped, err := memory.MapFile(file, 0, size)
	if err != nil {
		t.Fatal(err)
	}
	defer mapped.Close()
	memory.Touch(mapped.Bytes)
	kept, err := keepFrames(mapped.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	for i := range mapped.Bytes {
		mapped.Bytes[i] = byte(i / 4096)
	}
	want := slices.Clone(mapped.Bytes)
	if err := errors.Join(file.Truncate(0), file.Truncate(size)); err != nil {
		t.Fatal(err)
	}
	content, err := kept.read()
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	if !slices.Equal(content.Bytes, want) || mapped.Bytes[4096] != 0 {
		t.Error("what was read is not what the frames hold, or the pages are still the file's")
	}
	if a, b := sums(content.Bytes), sums(want[4096:]); a[1] != b[0] || a[0] == a[1] {
		t.Error("sums do not tell pages apart")
	}
}
