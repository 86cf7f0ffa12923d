package workload

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// verify reads every page from the page cache, from the disk, and from the clone.
func (r *run) verify(ctx context.Context) error {
	c := &r.record.Channels
	r.account(&c.Accounting.Settled)
	return errors.Join(r.verifyCache(ctx, &c.Cache), r.verifyDisk(ctx, &c.Disk), r.verifyClone(ctx, &c.Clone))
}

func (r *run) verifyCache(ctx context.Context, channel *CacheChannel) error {
	file, err := reopen(r.target.file, os.O_RDONLY)
	if err == nil {
		var c comparison
		c, err = r.payload.compare(ctx, file, r.options.FileBytes, 2)
		channel.CheckedPages, channel.StalePages = c.checked, c.different
		err = errors.Join(err, file.Close())
	}
	channel.State, channel.Why = StateOf(err)
	return err
}

func (r *run) verifyDisk(ctx context.Context, channel *DiskChannel) error {
	kind, _ := Find(filesystems(), r.options.Scenario.Filesystem)
	if kind.Backing == InMemory {
		channel.State, channel.Why = StateAbsent, kind.Name+" has no disk: the cache channel tells"
		return nil
	}
	file, err := r.openDisk(kind)
	if err == nil {
		var c comparison
		reader := &insistentReader{file: file, tries: uint64(r.options.FileBytes) / uint64(r.payload.pageSize)}
		c, err = r.payload.compare(ctx, reader, r.options.FileBytes, 2)
		channel.CheckedPages, channel.StalePages, channel.OldPages, channel.FirstStale = c.checked, c.different, c.old, c.first
		channel.RefusedWrites = reader.refused
		err = errors.Join(err, file.Close())
	}
	channel.State, channel.Why = StateOf(err)
	return err
}

// openDisk opens the file so that what is read comes from the disk.
func (r *run) openDisk(kind filesystem) (*os.File, error) {
	if kind.JournalsData {
		if err := r.file.Close(); err != nil {
			return nil, err
		}
		if err := r.target.evict(r.options.FileBytes); err != nil {
			return nil, err
		}
	}
	return r.target.reopenDirect(os.O_RDONLY)
}

// verifyClone compares the clone with what the file held when it was taken.
func (r *run) verifyClone(ctx context.Context, channel *CloneChannel) error {
	if r.clone == nil {
		return nil
	}
	file, err := reopen(r.clone, os.O_RDONLY|unix.O_DIRECT)
	if err == nil {
		var c comparison
		c, err = r.payload.compare(ctx, file, r.options.FileBytes, 1)
		channel.CheckedPages, channel.ChangedPages = c.checked, c.different
		err = errors.Join(err, file.Close())
	}
	channel.State, channel.Why = StateOf(err)
	return err
}
