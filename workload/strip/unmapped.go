package strip

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/fault"
)

// The ways in this file want pages that no page table maps: invalidation skips
// mapped ones (mm/truncate.c, __invalidate_mapping_pages). Linux 5.10 then takes a
// pinned page's buffers and keeps the page; since 5.18 (e41c81d0d30e) a pinned
// page is left alone first. Which of the two happened cannot be seen from outside:
// the channels tell.

// stripDropCaches unmaps the region and drops the page caches of the whole machine.
func stripDropCaches(_ context.Context, t Target) error {
	if err := t.Region.Close(); err != nil {
		return err
	}
	const knob = "/proc/sys/vm/drop_caches"
	if err := os.WriteFile(knob, []byte("1"), 0); err != nil {
		return fault.Lacksf("strip drop-caches: %w; it takes root, and a %s that can be written", err, knob)
	}
	return nil
}

// stripFadvise unmaps the region and drops the file's pages.
func stripFadvise(_ context.Context, t Target) error {
	if err := t.Region.Close(); err != nil {
		return err
	}
	if err := unix.Fadvise(int(t.File.Fd()), t.Region.Offset, t.Region.Length, unix.FADV_DONTNEED); err != nil {
		return fmt.Errorf("fadvise(FADV_DONTNEED): %w", err)
	}
	return nil
}
