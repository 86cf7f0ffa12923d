package workload

import (
	"context"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"umemstress/workload/filesystem"
	"umemstress/workload/internal/file"
	"umemstress/workload/payload"
	"umemstress/workload/record"
	"umemstress/workload/scenario"
)

// verify reads every page from the page cache, from the disk, and from the clone.
func (r *run) verify(ctx context.Context) error {
	c := &r.record.Channels
	r.account(&c.Accounting.Settled)
	return errors.Join(r.verifyCache(ctx, &c.Cache), r.verifyDisk(ctx, &c.Disk), r.verifyClone(ctx, &c.Clone))
}

func (r *run) verifyCache(ctx context.Context, channel *record.CacheChannel) error {
	file, err := file.Reopen(r.file.Handle, os.O_RDONLY)
	if err == nil {
		var c payload.Comparison
		c, err = r.payload.Compare(ctx, r.ofRegion(file), r.region.Length, 2)
		channel.CheckedPages, channel.StalePages = c.Checked, c.Different
		err = errors.Join(err, file.Close())
	}
	channel.State, channel.Why = record.StateOf(err)
	return err
}

func (r *run) verifyDisk(ctx context.Context, channel *record.DiskChannel) error {
	kind, _ := scenario.Find(filesystem.Kinds(), r.options.Scenario.Filesystem)
	if kind.Backing == scenario.InMemory {
		channel.State, channel.Why = record.StateAbsent, kind.Name+" has no disk: the cache channel tells"
		return nil
	}
	file, err := r.openDisk(kind)
	if err == nil {
		var c payload.Comparison
		reader := &payload.InsistentReader{File: file, Tries: uint64(r.region.Length) / uint64(r.payload.PageSize)}
		c, err = r.payload.Compare(ctx, r.ofRegion(reader), r.region.Length, 2)
		channel.CheckedPages, channel.StalePages, channel.OldPages, channel.FirstStale = c.Checked, c.Different, c.Old, c.First
		channel.RefusedWrites = reader.Refused
		err = errors.Join(err, file.Close())
	}
	channel.State, channel.Why = record.StateOf(err)
	return err
}

// ofRegion is the region's part of the file, or of its clone.
func (r *run) ofRegion(file io.ReaderAt) io.ReaderAt {
	return io.NewSectionReader(file, r.region.Offset, r.region.Length)
}

// openDisk opens the file so that what is read comes from the disk.
func (r *run) openDisk(kind filesystem.Kind) (*os.File, error) {
	if kind.JournalsData {
		if err := r.region.Close(); err != nil {
			return nil, err
		}
		if err := r.file.Evict(r.file.Info.Bytes); err != nil {
			return nil, err
		}
	}
	return r.file.ReopenDirect(os.O_RDONLY)
}

// verifyClone compares the clone with what the file held when it was taken.
func (r *run) verifyClone(ctx context.Context, channel *record.CloneChannel) error {
	if r.clone == nil {
		return nil
	}
	file, err := file.Reopen(r.clone, os.O_RDONLY|unix.O_DIRECT)
	if err == nil {
		var c payload.Comparison
		c, err = r.payload.Compare(ctx, r.ofRegion(file), r.region.Length, 1)
		channel.CheckedPages, channel.ChangedPages = c.Checked, c.Different
		err = errors.Join(err, file.Close())
	}
	channel.State, channel.Why = record.StateOf(err)
	return err
}
