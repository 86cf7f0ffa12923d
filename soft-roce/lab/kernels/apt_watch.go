package kernels

import (
	"cmp"
	"context"
	"io/fs"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"umemstress/soft-roce/lab/internal/host"
)

// patience is longer than apt takes to give up a mirror: 30 seconds, three times over.
const patience = 4 * time.Minute

// fullBelow is less than anything takes that apt-get writes.
const fullBelow = 64 << 10

// get runs apt-get, which downloads into its working directory, and ends it when it cannot
// go on: on a full disk it waits for ever, and says nothing.
func (a *apt) get(ctx context.Context, dir string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		a.watch(ctx, cancel, dir)
	}()
	out, err := host.AptGet.RunAs(ctx, host.Call{Dir: dir}, append(a.options(), args...)...)
	cancel(nil)
	<-watched
	return out, err
}

// watch cancels when the disk stays full, or when nothing was written for a while.
func (a *apt) watch(ctx context.Context, cancel func(error), dir string) {
	limit := cmp.Or(a.patience, patience)
	tick := time.NewTicker(min(limit/4, time.Second))
	defer tick.Stop()
	full := 0
	written, since := int64(-1), time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if free, err := freeBytes(dir); err == nil && free < fullBelow {
			if full++; full >= 3 {
				cancel(cacheError(a.cache(), unix.ENOSPC))
			}
		} else {
			full = 0
		}
		if now := bytesBelow(dir) + bytesBelow(a.lists()); now != written {
			written, since = now, time.Now()
		} else if time.Since(since) > limit {
			cancel(host.Lacksf("apt-get made no progress for %s and was ended: is its mirror to be reached? "+
				"A package file needs none: --kernel FILE.deb", limit))
		}
	}
}

// bytesBelow is the size of all files in the directory. What goes while it looks does not
// matter.
func bytesBelow(dir string) int64 {
	var sum int64
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
			sum += info.Size()
		}
		return nil
	})
	return sum
}
