package workload

import (
	"context"
	"errors"
	"io"
	"os"

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
	if r.direct() {
		channel.State, channel.Why = record.StateAbsent, r.options.Scenario.Filesystem+" has no page cache: the disk channel tells"
		return nil
	}
	file, err := file.Reopen(r.file.Handle, os.O_RDONLY)
	if err == nil {
		var c payload.Comparison
		c, err = r.payload.Compare(ctx, io.NewSectionReader(file, r.region.Offset, r.region.Length), r.region.Length, 2, r.arrivedCorrupt(2))
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
	var c payload.Comparison
	var err error
	c, channel.FromDisk, channel.RefusedWrites, err = r.fromDisk(ctx, r.file.Handle, r.expected(), 2)
	channel.CheckedPages, channel.StalePages, channel.OldPages, channel.FirstStale = c.Checked, c.Different, c.Old, c.First
	channel.State, channel.Why = channel.StateOf(c.Different, err)
	return err
}

// verifyClone compares the clone with what the file held when it was taken.
func (r *run) verifyClone(ctx context.Context, channel *record.CloneChannel) error {
	if r.clone == nil {
		return nil
	}
	var c payload.Comparison
	var err error
	c, channel.FromDisk, _, err = r.fromDisk(ctx, r.clone, r.payload, r.cloned())
	channel.CheckedPages, channel.ChangedPages = c.Checked, c.Different
	channel.State, channel.Why = channel.StateOf(c.Different, err)
	return err
}

// fromDisk compares the region's part of a file, or of its clone, with a generation of the
// payload, as far as the disk is known to have been read. What the page cache is to tell must
// have been asked before.
func (r *run) fromDisk(ctx context.Context, file *os.File, expected payload.Payload, generation uint64) (c payload.Comparison, proof record.FromDisk, refused uint64, err error) {
	if err := r.region.Close(); err != nil { // mapped pages stay in the page cache
		return c, proof, 0, err
	}
	disk, err := filesystem.OpenOnDisk(ctx, file, r.region.Offset, r.region.Length)
	if err != nil {
		return c, proof, 0, err
	}
	defer func() { err = errors.Join(err, disk.Close()) }()
	corrupt := r.arrivedCorrupt(generation)
	leaveOut := func(page uint64) bool { return disk.Unproven(page) || corrupt(page) }
	if c, err = expected.Compare(ctx, disk, r.region.Length, generation, leaveOut); err != nil {
		return c, proof, disk.RefusedWrites, err
	}
	proof, err = disk.Proof()
	return c, proof, disk.RefusedWrites, err
}
