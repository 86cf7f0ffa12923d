package memory

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// On a file system without subvolumes, stat tells the same number.
func TestMappedDevice(t *testing.T) {
	f, err := os.CreateTemp("/dev/shm", "umemstress-test-*") // a tmpfs on every Linux
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	defer os.Remove(f.Name())
	if err := f.Truncate(4096); err != nil {
		t.Fatal(err)
	}
	region, err := MapFile(f, 0, 4096)
	if err != nil {
		t.Fatal(err)
	}
	defer region.Close()
	var stat unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &stat); err != nil {
		t.Fatal(err)
	}
	got, err := DeviceOf(region.Bytes)
	if want := unix.Major(stat.Dev)<<20 | unix.Minor(stat.Dev); err != nil || got != want {
		t.Errorf("device %#x, %v; stat says %#x", got, err, want)
	}
	if _, err := DeviceOf(make([]byte, 1)); err == nil {
		t.Error("memory that is no mapping of its own has a device")
	}
}
