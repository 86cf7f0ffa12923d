//go:build guest

package filesystem

import (
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/workload/meminfo"
	"umemstress/workload/scenario"
)

// Huge pages are there while they are held, and only then.
func TestReserveHugepages(t *testing.T) {
	before, err := hugepages()
	if err != nil {
		t.Fatal(err)
	}
	held, err := reserveHugepages(3)
	if err != nil {
		t.Fatal(err)
	}
	if now, err := hugepages(); err != nil || now != before+3 {
		t.Errorf("%d huge pages, %v; before %d", now, err, before)
	}
	if err := held.Close(); err != nil {
		t.Error(err)
	}
	if _, err := reserveHugepages(1 << 20); err == nil || !strings.Contains(err.Error(), "--file-size") {
		t.Errorf("2 TiB of huge pages: %v", err)
	}
	// All memory that is available: the kernel finds some of it.
	has, err := meminfo.Read()
	if err != nil {
		t.Fatal(err)
	}
	if held, err := reserveHugepages(int(has.Available >> 21)); err == nil {
		if err := held.Close(); err != nil {
			t.Error(err)
		}
	} else {
		t.Log(err)
	}
	if now, err := hugepages(); err != nil || now != before {
		t.Errorf("%d huge pages, %v; before %d", now, err, before)
	}
}

// Huge pages are found and reserved whatever signals come meanwhile: the kernel breaks off
// for each, as when the program was stopped and goes on.
func TestHugepagesUnderSignals(t *testing.T) {
	kind, _ := scenario.Find(Kinds(), "hugetlbfs")
	const bytes = 256 << 20
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	thread, stop, stopped := unix.Gettid(), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for range 100 {
			unix.Tgkill(os.Getpid(), thread, unix.SIGURG) // as Go's scheduler does
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	scratch, err := NewScratch(t.TempDir(), kind, bytes)
	if err != nil {
		t.Fatal(err)
	}
	defer scratch.Close()
	if err := scratch.Make(t.Context()); err != nil {
		t.Fatal(err)
	}
	region, err := scratch.Create()
	if err != nil {
		t.Fatal(err)
	}
	defer region.Close()
	if err := region.Reserve(bytes); err != nil {
		t.Error(err)
	}
}
