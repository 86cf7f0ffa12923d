package meminfo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRead(t *testing.T) {
	for text, want := range map[string]Memory{
		"MemTotal: 4096 kB\nMemFree: 1 kB\nMemAvailable: 2048 kB\nHugepagesize:       2048 kB\n": {4 << 20, 2 << 20, 2 << 20},
		"MemTotal: 4096 kB\nMemAvailable: 0 kB\n":                                                {4 << 20, 0, 0},
	} {
		if got, err := read(proc(t, text)); err != nil || got != want {
			t.Errorf("%+v, %v of %q", got, err, text)
		}
	}
	for text, says := range map[string]string{
		"MemTotal: 4096 kB\nMemFree: 1 kB\n": "/proc/meminfo has no MemAvailable; it came with Linux 3.14",
		"MemAvailable: 4096 kB\n":            "/proc/meminfo has no MemTotal",
		"MemTotal: many kB\n":                "read /proc/meminfo: ",
	} {
		if got, err := read(proc(t, text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v, %v of %q, want %q", got, err, text, says)
		}
	}
}

func proc(t *testing.T, meminfo string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "meminfo"), []byte(meminfo), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// The kernel says the same of this machine in another way.
func TestReadThisMachine(t *testing.T) {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		t.Fatal(err)
	}
	m, err := Read()
	if err != nil || uint64(m.Total)>>10 != info.Totalram*uint64(info.Unit)>>10 || m.Available <= 0 || m.Available > m.Total {
		t.Errorf("%+v, %v beside %d bytes", m, err, info.Totalram*uint64(info.Unit))
	}
}
