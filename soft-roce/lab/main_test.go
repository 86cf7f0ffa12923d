package lab

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	InitIfPID1()
	os.Exit(m.Run())
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
