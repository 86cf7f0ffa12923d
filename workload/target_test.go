package workload

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFileRefused(t *testing.T) {
	shm, err := os.MkdirTemp("/dev/shm", "umemstress-test-*") // a tmpfs on every Linux
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(shm)
	ext4, _ := Find(filesystems(), "ext4")
	_, err = openTarget(filepath.Join(shm, "file"), ext4)
	WantUsage(t, err, "it is on tmpfs")
	_, err = openTarget("/nonexistent/file", ext4)
	WantUsage(t, err, "directory must exist")
	if names, _ := os.ReadDir(shm); len(names) > 0 {
		t.Errorf("%s was left behind", names[0].Name())
	}
}
