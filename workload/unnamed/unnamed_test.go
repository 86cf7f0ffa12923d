package unnamed

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A file can be written and read, and nobody finds it.
func TestNobodyFindsIt(t *testing.T) {
	dir := t.TempDir()
	handle, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer handle.Close()
	for how, make := range map[string]func() (*os.File, error){
		"in":       func() (*os.File, error) { return In(dir) },
		"at":       func() (*os.File, error) { return At(handle) },
		"unlinked": func() (*os.File, error) { return unlinked(dir) },
	} {
		f, err := make()
		if err != nil {
			t.Fatalf("%s: %v", how, err)
		}
		defer f.Close()
		got := []byte("none")
		if _, err := f.WriteAt([]byte("text"), 0); err != nil {
			t.Errorf("%s: %v", how, err)
		}
		if _, err := f.ReadAt(got, 0); err != nil || string(got) != "text" {
			t.Errorf("%s: %q, %v", how, got, err)
		}
		var st unix.Stat_t
		if err := unix.Fstat(int(f.Fd()), &st); err != nil || st.Nlink != 0 || st.Mode&0o777 != 0o600 {
			t.Errorf("%s: %d names, mode %o, %v", how, st.Nlink, st.Mode, err)
		}
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) > 0 {
		t.Errorf("%v, %v", names, err)
	}
}

// Where there can be none, the error names the directory.
func TestNoPlace(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	if _, err := In(dir); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), dir) {
		t.Error(err)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if _, err := At(null); !errors.Is(err, unix.ENOTDIR) {
		t.Error(err)
	}
}
