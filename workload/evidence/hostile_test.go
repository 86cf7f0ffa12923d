package evidence

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/worktest"
)

// Whatever lies where a file of evidence should, only a regular file is opened: the rest
// would hang who opens it, never end, or be this machine's own.
func TestOnlyRegularFilesAreRead(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	write(t, secret, "{}")
	for what, put := range map[string]func(path string) error{
		"a named pipe":    func(path string) error { return unix.Mkfifo(path, 0o600) },
		"a directory":     func(path string) error { return os.Mkdir(path, 0o700) },
		"a socket":        func(path string) error { return unix.Mknod(path, unix.S_IFSOCK|0o600, 0) },
		"a symbolic link": func(path string) error { return os.Symlink("/dev/zero", path) },
		"to a file":       func(path string) error { return os.Symlink(secret, path) },
	} {
		for _, name := range []string{RunFile, eventsFile, kmsgFile} {
			dir := recorded(t)
			path := filepath.Join(dir, name)
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if err := put(path); err != nil {
				t.Fatal(err)
			}
			want := name + ": it is " + what
			if what == "to a file" {
				want = name + ": it is a symbolic link"
			}
			done := make(chan error, 1)
			go func() { _, err := again(t, dir); done <- err }()
			select {
			case err := <-done:
				worktest.WantUsage(t, err, want)
			case <-time.After(10 * time.Second):
				t.Fatalf("%s as %s hangs", what, name)
			}
		}
	}
}

// Events of days are judged in the memory of a few.
func TestManyEvents(t *testing.T) {
	dir := recorded(t)
	f, err := os.OpenFile(filepath.Join(dir, eventsFile), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	const many, size = 40000, 1 << 10
	for i := range many {
		if _, err := fmt.Fprintf(f, `{"index":%d,"pages":4,"holder":"umem","comm":"%0*d"}`+"\n", i, size, i); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	differences, _, err := compareEvents(t.Context(), dir, lostRecord())
	if err != nil || len(differences) > 0 {
		t.Fatalf("%q, %v", differences, err)
	}
	if peak := maxHeap(t, dir); peak > many*size/4 {
		t.Errorf("%d bytes at once, for %d bytes of events", peak, many*size)
	}
}

// maxHeap is the most that was in use, above what was before, while the events were read.
func maxHeap(t *testing.T, dir string) (most uint64) {
	t.Helper()
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	base := m.HeapAlloc
	_, err := readLines(t.Context(), dir, eventsFile, func(number int, _ []byte) error {
		if number%1000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&m)
			if m.HeapAlloc > base {
				most = max(most, m.HeapAlloc-base)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return most
}

// A file that is larger than a disk is not read to its end.
func TestEndlessRecord(t *testing.T) {
	dir := recorded(t)
	if err := os.Truncate(filepath.Join(dir, RunFile), 1<<40); err != nil {
		t.Fatal(err)
	}
	_, err := again(t, dir)
	worktest.WantUsage(t, err, "larger than")
	dir = recorded(t)
	if err := os.Truncate(filepath.Join(dir, kmsgFile), 1<<40); err != nil {
		t.Fatal(err)
	}
	if _, err := again(t, dir); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("a log without an end: %v", err)
	}
}
