package lab

import (
	"os"
	"path/filepath"
	"testing"

	"umemstress/soft-roce/lab/internal/labtest"
)

func TestSerialLogIsKeptOnlyWhenAskedFor(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	dir := t.TempDir()
	l, err := newSerialLog("", dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	labtest.WriteFile(t, l.path(), "boot\n") // as QEMU does
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("the log has a name: %v, %v", left, err)
	}
	kept, err := os.ReadFile(l.keep())
	if err != nil || string(kept) != "boot\n" {
		t.Errorf("kept %q, %v", kept, err)
	}
	named := filepath.Join(dir, "serial.log")
	n, err := newSerialLog(named, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer n.close()
	labtest.WriteFile(t, n.path(), "x\n")
	if n.keep() != named || string(n.read()) != "x\n" {
		t.Errorf("named log: %s, %q", n.keep(), n.read())
	}
}
