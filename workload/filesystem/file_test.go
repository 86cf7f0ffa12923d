package filesystem

import (
	"os"
	"path/filepath"
	"testing"

	"umemstress/workload/internal/worktest"
	"umemstress/workload/scenario"
)

func TestFileRefused(t *testing.T) {
	shm, err := os.MkdirTemp("/dev/shm", "umemstress-test-*") // a tmpfs on every Linux
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(shm)
	ext4, _ := scenario.Find(Kinds(), "ext4")
	_, err = CreateUsers(filepath.Join(shm, "file"), ext4)
	worktest.WantUsage(t, err, "it is on tmpfs")
	encrypted, _ := scenario.Find(Kinds(), "ext4-encrypted")
	_, err = CreateUsers(filepath.Join(shm, "file"), encrypted)
	worktest.WantUsage(t, err, "give --fs ext4")
	_, err = CreateUsers("/nonexistent/file", ext4)
	worktest.WantUsage(t, err, "directory must exist")
	if names, _ := os.ReadDir(shm); len(names) > 0 {
		t.Errorf("%s was left behind", names[0].Name())
	}
}
