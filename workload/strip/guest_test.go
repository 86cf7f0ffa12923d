//go:build guest

package strip

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/memory"
)

// These tests reclaim for real: in the lab's guest, whose memory nobody else needs.

var reclaimers = map[string]func(context.Context) (Stripper, error){"memcg": openMemcg, "pressure": openPressure}

// cleanRegion is a mapped file whose pages are clean and mapped. The stripper is open
// already, as in a run.
func cleanRegion(t *testing.T, bytes int) (*memory.Region, *os.File) {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "region")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := f.Truncate(int64(bytes)); err != nil {
		t.Fatal(err)
	}
	r, err := memory.MapFile(f, 0, bytes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	for at := 0; at < bytes; at += os.Getpagesize() {
		r.Bytes[at] = 1
	}
	if err := unix.Msync(r.Bytes, unix.MS_SYNC); err != nil {
		t.Fatal(err)
	}
	if mapped, err := memory.MappedPages(r.Bytes); err != nil || mapped != bytes/os.Getpagesize() {
		t.Fatalf("%d pages are mapped, %v", mapped, err)
	}
	return r, f
}

// Reclaim comes to every page, and the machine is afterwards as before.
func TestReclaim(t *testing.T) {
	for name, open := range reclaimers {
		t.Run(name, func(t *testing.T) {
			before := machine(t)
			s, err := open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			r, f := cleanRegion(t, 8<<20)
			if machine(t) == before {
				t.Error("opening it changed nothing that this test could see")
			}
			if err := s.Strip(t.Context(), Target{Region: r, File: f}); err != nil {
				t.Error(err)
			}
			if mapped, err := memory.MappedPages(r.Bytes); err != nil || mapped != 0 {
				t.Errorf("%d pages are mapped, %v", mapped, err)
			}
			for range 2 {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}
			if after := machine(t); after != before {
				t.Errorf("left behind: %s; before: %s", after, before)
			}
		})
	}
}

// Where reclaim cannot come to the pages, the phase says that it had no effect; and
// whoever reclaims lives, even if the OOM killer has to find somebody.
func TestReclaimOfLocked(t *testing.T) {
	for name, open := range reclaimers {
		t.Run(name, func(t *testing.T) {
			s, err := open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			r, f := cleanRegion(t, 4<<20)
			if err := unix.Mlock(r.Bytes); err != nil {
				t.Fatal(err)
			}
			err = s.Strip(t.Context(), Target{Region: r, File: f})
			if !fault.IsIneffective(err) || !strings.Contains(err.Error(), "1024 of 1024 pages mapped") {
				t.Error(err)
			}
			t.Log(err)
		})
	}
}

// machine is what strippers could change on it.
func machine(t *testing.T) string {
	t.Helper()
	groups, err := filepath.Glob("/sys/fs/cgroup/umemstress-*/*/cgroup.procs")
	if err != nil {
		t.Fatal(err)
	}
	control, err := os.ReadFile("/sys/fs/cgroup/cgroup.subtree_control")
	if err != nil {
		t.Fatal(err)
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var hogs []string
	for _, path := range commands {
		if line, err := os.ReadFile(path); err == nil && strings.HasSuffix(string(line), "\x00"+"hog"+"\x00") {
			hogs = append(hogs, path)
		}
	}
	return strings.Join(groups, " ") + string(control) + string(own) + strings.Join(hogs, " ")
}
