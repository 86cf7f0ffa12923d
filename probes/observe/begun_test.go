package observe

import (
	"os"
	"path/filepath"
	"testing"
)

// A process may call itself anything; when it began is told all the same.
func TestBegun(t *testing.T) {
	proc := t.TempDir()
	if err := os.Mkdir(filepath.Join(proc, "7"), 0o755); err != nil {
		t.Fatal(err)
	}
	const rest = "S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 123 4096 1"
	for text, want := range map[string]string{
		"7 (a) " + rest: "123", "7 (a) S 9 (b\n) " + rest: "123", "7 (a) S 1": "", "": "", ")": "",
	} {
		if err := os.WriteFile(filepath.Join(proc, "7/stat"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if got, err := Begun(proc, 7); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	if _, err := Begun(proc, 8); err == nil {
		t.Error("a process that is not there has begun")
	}
	if got, err := Begun(Proc, uint32(os.Getpid())); err != nil || got == "" {
		t.Errorf("this process: %q, %v", got, err)
	}
}
