package observing

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"testing"
	"time"

	"umemstress/cmd/umemstress/internal/exit"
	"umemstress/probes/event"
)

// putProcess makes a process of a /proc, which began then.
func putProcess(t *testing.T, proc string, pid int, name string, since int) {
	t.Helper()
	dir := filepath.Join(proc, strconv.Itoa(pid))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	stat := strconv.Itoa(pid) + " (" + name + ") S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 " + strconv.Itoa(since) + " 4096 1 18446744073709551615\n"
	if err := os.WriteFile(filepath.Join(dir, "stat"), []byte(stat), 0o644); err != nil {
		t.Fatal(err)
	}
}

// A process whose number another has is not watched any more; one that has ended still is, and the
// last one leaves nobody and not everybody.
func TestReusedPIDs(t *testing.T) {
	proc := t.TempDir()
	putProcess(t, proc, 7, "a) S 9 (b", 100)
	putProcess(t, proc, 8, "c", 200)
	f := flags{pids: []int{7, 8}}
	list, err := f.watchedPIDs(proc)
	if want := []watched{{7, "100"}, {8, "200"}}; err != nil || !reflect.DeepEqual(list, want) {
		t.Fatalf("%+v, %v, want %+v", list, err, want)
	}
	if err := os.RemoveAll(filepath.Join(proc, "8")); err != nil {
		t.Fatal(err)
	}
	if reused := ofOthers(proc, list); len(reused) != 0 {
		t.Errorf("%+v are reused", reused)
	}
	putProcess(t, proc, 7, "a", 300)
	filters := make(chan event.Filter)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go dropReused(ctx, time.Millisecond, proc, list, event.Filter{PIDs: []uint32{7, 8}, Cgroups: []uint64{5}}, func(f event.Filter) error {
		filters <- f
		return nil
	})
	for _, want := range [][]uint32{{8}, {nobody}} {
		if got := <-filters; !reflect.DeepEqual(got, event.Filter{PIDs: want, Cgroups: []uint64{5}}) {
			t.Errorf("filter %+v, want of %d", got, want)
		}
		putProcess(t, proc, 8, "c", 201)
	}
	f.pids = []int{9}
	if _, err := f.watchedPIDs(proc); exit.Code(err) != exit.Usage {
		t.Errorf("no process: %v", err)
	}
}
