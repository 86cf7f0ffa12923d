package lab

import (
	"encoding/binary"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	logtest "github.com/sirupsen/logrus/hooks/test"
	"golang.org/x/sys/unix"

	"umemstress/soft-roce/lab/internal/labtest"
)

// mapped makes a file as QEMU does for a guest.
func mapped(t *testing.T, path, content string, mode uint32) {
	t.Helper()
	if mode&unix.S_IFMT == unix.S_IFDIR {
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
	} else {
		labtest.WriteFile(t, path, content)
	}
	if err := os.Chmod(path, 0o700); err != nil {
		t.Fatal(err)
	}
	for attr, value := range map[string]uint32{"mode": mode, "uid": 0, "gid": 0} {
		if err := unix.Lsetxattr(path, virtfs+attr, binary.LittleEndian.AppendUint32(nil, value), 0); err != nil {
			t.Fatal(err)
		}
	}
}

// shared is what is left of the files of a guest.
type shared struct {
	mode fs.FileMode
	text string // its content, or where it leads
}

func checkShared(t *testing.T, dir string, want map[string]shared) {
	t.Helper()
	for name, want := range want {
		path := filepath.Join(dir, name)
		st, err := os.Lstat(path)
		if err != nil {
			t.Error(err)
			continue
		}
		var got string
		switch {
		case st.Mode()&fs.ModeSymlink != 0:
			got, err = os.Readlink(path)
		case st.Mode().IsRegular():
			var raw []byte
			raw, err = os.ReadFile(path)
			got = string(raw)
		}
		if st.Mode() != want.mode || got != want.text || err != nil {
			t.Errorf("%s: %s %q, %v; want %s %q", name, st.Mode(), got, err, want.mode, want.text)
		}
		if n, err := unix.Llistxattr(path, make([]byte, 4096)); n > 0 || err != nil {
			t.Errorf("%s has attributes left: %d bytes, %v", name, n, err)
		}
	}
}

// What a guest made is plain on the host, with nothing that the host would obey.
func TestUnmap(t *testing.T) {
	dir := t.TempDir()
	labtest.WriteFile(t, filepath.Join(dir, "own"), "the host's")
	mapped(t, filepath.Join(dir, "plain"), "text", unix.S_IFREG|0o644)
	mapped(t, filepath.Join(dir, "suid"), "program", unix.S_IFREG|0o6755)
	mapped(t, filepath.Join(dir, "null"), "", unix.S_IFCHR|0o666)
	mapped(t, filepath.Join(dir, "sub"), "", unix.S_IFDIR|0o1755)
	mapped(t, filepath.Join(dir, "sub/in"), "../plain", unix.S_IFLNK|0o777)
	mapped(t, filepath.Join(dir, "sub/out"), "../../etc", unix.S_IFLNK|0o777)
	mapped(t, filepath.Join(dir, "abs"), "/etc/shadow", unix.S_IFLNK|0o777)
	if err := unmap(dir); err != nil {
		t.Error(err)
	}
	checkShared(t, dir, map[string]shared{
		"own": {0o644, "the host's"}, "plain": {0o644, "text"}, "suid": {0o755, "program"}, "null": {0o700, ""},
		"sub": {fs.ModeDir | 0o755, ""}, "sub/in": {fs.ModeSymlink | 0o777, "../plain"},
		"sub/out": {0o700, "../../etc"}, "abs": {0o700, "/etc/shadow"},
	})
}

// A directory whose files cannot have attributes is shared, with a warning to whom it concerns.
func TestIsMapped(t *testing.T) {
	log, told := logtest.NewNullLogger()
	if os.Geteuid() != 0 {
		if isMapped(t.TempDir(), log) || len(told.AllEntries()) > 0 {
			t.Errorf("told %+v", told.AllEntries())
		}
		return // what the guest makes is this user's, and nobody's else
	}
	if isMapped("/proc", log) {
		t.Error("files of /proc have attributes")
	}
	if last := told.LastEntry(); last == nil || !strings.Contains(last.Message, "lab: /proc is on a file system without attributes") {
		t.Errorf("told %+v", last)
	}
}
