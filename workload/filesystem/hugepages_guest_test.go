//go:build guest

package filesystem

import (
	"strings"
	"testing"

	"umemstress/workload/internal/memory"
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
	available, err := memory.Available()
	if err != nil {
		t.Fatal(err)
	}
	if held, err := reserveHugepages(int(available >> 21)); err == nil {
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
