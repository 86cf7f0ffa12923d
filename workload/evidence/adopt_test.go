package evidence

import (
	"os"
	"path/filepath"
	"testing"
)

// The console of a guest comes into the evidence as it is, and takes the place of none.
func TestAdoptConsole(t *testing.T) {
	console := filepath.Join(t.TempDir(), "console")
	write(t, console, bugInMsync)
	dir := t.TempDir()
	for _, content := range []string{bugInMsync, "another"} {
		if err := AdoptConsole(dir, console); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(dir, ConsoleFile)); err != nil || string(got) != content {
			t.Errorf("%q, %v", got, err)
		}
		write(t, filepath.Join(dir, ConsoleFile), "another")
	}
	if err := AdoptConsole(dir, filepath.Join(dir, "none")); err == nil {
		t.Error("a console that is not there is no error")
	}
}
