package worktest

import (
	"os"
	"testing"

	"umemstress/workload/internal/file"
	"umemstress/workload/internal/loop"
)

// FastDevice is a loop device of so many bytes, which goes with the test.
func FastDevice(t *testing.T, size int64) string {
	f, err := file.Nameless(os.TempDir(), size)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	loop, err := loop.Attach(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { loop.Close() })
	return loop.Name()
}
