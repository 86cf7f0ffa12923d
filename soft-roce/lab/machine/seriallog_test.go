package machine

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"umemstress/soft-roce/lab/internal/labtest"
)

func TestSerialLogIsKeptOnlyWhenAskedFor(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	dir := t.TempDir()
	l, err := NewSerialLog("", dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	labtest.WriteFile(t, l.Path(), "boot\n") // as QEMU does
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("the log has a name: %v, %v", left, err)
	}
	kept, err := os.ReadFile(l.Keep())
	if err != nil || string(kept) != "boot\n" {
		t.Errorf("kept %q, %v", kept, err)
	}
	named := filepath.Join(dir, "serial.log")
	n, err := NewSerialLog(named, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	labtest.WriteFile(t, n.Path(), "x\n")
	if n.Keep() != named || string(n.Read()) != "x\n" {
		t.Errorf("named log: %s, %q", n.Keep(), n.Read())
	}
}

// A log that is kept takes the place of those that were kept a week ago.
func TestOldSerialLogsAreForgotten(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	old, recent, other := filepath.Join(tmp, "umemstress-serial-1.log"), filepath.Join(tmp, "umemstress-serial-2.log"), filepath.Join(tmp, "serial-3.log")
	for path, age := range map[string]time.Duration{old: keptFor + time.Hour, recent: keptFor - time.Hour, other: 2 * keptFor} {
		labtest.WriteFile(t, path, "x")
		when := time.Now().Add(-age)
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
	}
	l, err := NewSerialLog("", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	kept := l.Keep()
	for path, there := range map[string]bool{old: false, recent: true, other: true, kept: true} {
		if _, err := os.Stat(path); (err == nil) != there {
			t.Errorf("%s: %v, want it there: %v", path, err, there)
		}
	}
}
