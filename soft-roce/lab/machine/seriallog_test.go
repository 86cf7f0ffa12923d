package machine

import (
	"os"
	"path/filepath"
	"testing"

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
