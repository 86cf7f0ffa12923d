package guest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"umemstress/soft-roce/lab/internal/labtest"
)

// TestReap has a program that leaves an orphan, as PID 1 gets them, and ends by itself
// or by a signal.
func TestReap(t *testing.T) {
	for script, want := range map[string]int{"exit 7": 7, "kill -TERM $$": 128 + 15, "kill -KILL $$": 128 + 9, "true": 0} {
		orphan := exec.Command("true")
		if err := orphan.Start(); err != nil {
			t.Fatal(err)
		}
		program := exec.Command("sh", "-c", script)
		if err := program.Start(); err != nil {
			t.Fatal(err)
		}
		if code, err := reap(program.Process.Pid); code != want || err != nil {
			t.Errorf("%s: code %d, %v; want %d", script, code, err, want)
		}
	}
}

// What a program writes is counted to its last byte, after all its writers are gone.
func TestOutputIsCounted(t *testing.T) {
	port, err := os.Create(filepath.Join(t.TempDir(), "port"))
	if err != nil {
		t.Fatal(err)
	}
	defer port.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	o := newOutput(port, r)
	said := strings.Repeat("0123456789abcdef", 1<<14) // more than a pipe holds
	if _, err := w.WriteString(said); err != nil {
		t.Fatal(err)
	}
	w.Close()
	n, err := o.finish()
	if got, _ := os.ReadFile(port.Name()); err != nil || n != int64(len(said)) || string(got) != said {
		t.Errorf("%d of %d bytes counted, %d written, %v", n, len(said), len(got), err)
	}
}

func TestScratchDiskIsFoundByItsSerialNumber(t *testing.T) {
	sys := t.TempDir()
	for disk, serial := range map[string]string{"vda": "other", "vdb": "scratch\n", "vdc": ""} {
		dir := filepath.Join(sys, "block", disk)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		labtest.WriteFile(t, filepath.Join(dir, "serial"), serial)
	}
	if disk, err := blockDevice(sys, "scratch"); disk != "/dev/vdb" || err != nil {
		t.Errorf("%s, %v", disk, err)
	}
	if disk, err := blockDevice(sys, "none"); err == nil {
		t.Errorf("found %s", disk)
	}
}

// A tree that a mount of the guest hides is told from one beside it.
func TestHiddenTree(t *testing.T) {
	mounts := []mount{{target: newRoot}, {target: newRoot + "/dev/shm"}, {target: newRoot + "/run"}}
	for path, want := range map[string]bool{
		"/dev/shm/build": true, "/run": true, "/run/x": true, "/runner/x": false, "/home/me/linux": false, "/dev/sh": false, "/": false, "": false,
	} {
		if got := isHidden(path, mounts); got != want {
			t.Errorf("%q: %t", path, got)
		}
	}
}
