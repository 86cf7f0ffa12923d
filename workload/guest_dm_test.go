//go:build guest

package workload

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// TestOpenNode opens a device for which /dev has no node dm-N: a loop device,
// whose number is another driver's.
func TestOpenNode(t *testing.T) {
	var want, got unix.Stat_t
	if err := unix.Stat(fastDevice(t, 1<<20), &want); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	f, err := openNode(want.Rdev, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Fstat(int(f.Fd()), &got); err != nil || got.Rdev != want.Rdev {
		t.Errorf("opened device %#x, %v; want %#x", got.Rdev, err, want.Rdev)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left in the directory: %v, %v", left, err)
	}
}

// TestDelayFails wants a device-mapper device that could not be started to be gone.
func TestDelayFails(t *testing.T) {
	before := left(t)
	file, err := namelessFile(os.TempDir(), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := makeDelay(t.Context(), file, 1<<20, 0, t.TempDir()); err == nil {
		t.Error("a delay device over a file, which is no device")
	} else {
		t.Log(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	wantLeft(t, before)
}
