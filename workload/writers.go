package workload

import (
	"context"
	"time"

	"umemstress/workload/internal/fault"
	"umemstress/workload/witness"
)

// stalled is how long no page may have become clean before it is believed that none will.
const stalled = 10 * time.Second

// awaitWriters returns once this machine's writers go on. A page that ext4 has dropped counts as
// dirty until the next boot (mpage_prepare_extent_to_map, fs/ext4/inode.c, clears its mark and
// not the count): where they are as many as the kernel allows, each write waits for ever
// (balance_dirty_pages, mm/page-writeback.c), and so would the run.
func awaitWriters(ctx context.Context) error {
	for until := time.Now().Add(stalled); ; {
		dirty, err := witness.CountDirty()
		if err != nil || !dirty.Full() {
			return nil // what cannot be read, the run says where it wants it
		}
		if time.Now().After(until) {
			return fault.Lacksf("every write on this machine waits: %d pages count as dirty, the kernel allows %d, and for %s they have not become fewer; "+
				"pages that ext4 dropped count until the next boot: reboot, or raise vm.dirty_ratio until then", dirty.Pages, dirty.Limit, stalled)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}
