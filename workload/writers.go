package workload

import (
	"context"
	"time"

	"umemstress/workload/internal/fault"
	"umemstress/workload/witness"
)

// stalled is how long writers may have been held up before it is believed that it lasts.
const stalled = 10 * time.Second

// awaitWriters returns once this machine's writers go on. A page that ext4 has dropped counts as
// dirty until the next boot (mpage_prepare_extent_to_map, fs/ext4/inode.c, clears its mark and
// not the count): where they are as many as the kernel allows, writers are throttled to a crawl, or
// stand still (balance_dirty_pages, mm/page-writeback.c), and so would the run.
func awaitWriters(ctx context.Context) error {
	for until := time.Now().Add(stalled); ; {
		dirty, err := witness.CountDirty()
		if err != nil || !dirty.Full() {
			return nil // what cannot be read, the run says where it wants it
		}
		if time.Now().After(until) {
			return fault.Lacksf("the writers of this machine crawl or stand still: %d pages count as dirty, the kernel allows %d, and for %s they have been no fewer than that; "+
				"pages that ext4 dropped count until the next boot: reboot, or raise vm.dirty_ratio until then", dirty.Pages, dirty.Limit, stalled)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}
