package filesystem

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/file"
	"umemstress/workload/internal/memory"
	"umemstress/workload/record"
)

// OnDisk is a part of a file, to be read as the disk has it. O_DIRECT alone does not do that:
// a file system that cannot read a file past the page cache takes the flag and reads through
// it (ext4 of what is encrypted, journalled or inline, btrfs of what is compressed), and what
// is there may never have been written. So the pages are taken from the page cache first, and
// looked at one by one: what the cache does not have can only come from the disk. Those that
// stay prove nothing.
type OnDisk struct {
	file   *os.File
	look   *memory.Region // never touched: by it the kernel tells what the page cache has
	stay   []bool         // pages that were in the page cache before the read
	offset int64

	// RefusedWrites are pages that the file system refused to write while it was synced.
	RefusedWrites uint64
}

// OpenOnDisk opens bytes of a file, from an offset on, that nobody maps or pins.
func OpenOnDisk(ctx context.Context, f *os.File, offset, bytes int64) (_ *OnDisk, err error) {
	d := &OnDisk{offset: offset}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	if d.RefusedWrites, err = syncInsistently(ctx, f, uint64(bytes)/uint64(os.Getpagesize())); err != nil {
		return nil, err
	}
	if d.look, err = memory.MapFile(f, offset, int(bytes)); err != nil {
		return nil, err
	}
	if d.stay, err = evict(ctx, f, d.look); err != nil {
		return nil, err
	}
	if d.file, err = file.Reopen(f, os.O_RDONLY|unix.O_DIRECT); err != nil {
		return nil, fmt.Errorf("open the file with O_DIRECT: %w", err)
	}
	return d, nil
}

// syncInsistently syncs a file past writes that its file system refuses, at most so many of
// them, and counts those: btrfs without its fixup worker refuses each page that was dirtied
// behind its back with EUCLEAN, one a try ("marked dirty without notifying the fs",
// fs/btrfs/extent_io.c, 6.12.97).
func syncInsistently(ctx context.Context, f *os.File, most uint64) (refused uint64, err error) {
	for {
		err := file.Sync(f)
		switch {
		case err == nil:
			return refused, nil
		case !errors.Is(err, unix.EUCLEAN) || refused == most:
			return refused, fmt.Errorf("fsync before the disk is read: %w", err)
		case ctx.Err() != nil:
			return refused, ctx.Err()
		}
		refused++
	}
}

// ReadAt reads at an offset in the part.
func (d *OnDisk) ReadAt(p []byte, offset int64) (int, error) {
	return d.file.ReadAt(p, d.offset+offset)
}

// Unproven says of a page of the part that nobody can tell where its bytes come from.
func (d *OnDisk) Unproven(page uint64) bool { return d.stay[page] }

// Proof says, of a part that has been read, how it is known that the disk was.
func (d *OnDisk) Proof() (record.FromDisk, error) {
	cached, err := memory.CachedPages(d.look.Bytes)
	if err != nil {
		return record.FromDisk{}, err
	}
	proof := record.FromDisk{Proof: record.ProofDirect, UnprovenPages: count(d.stay)}
	for page, is := range cached {
		switch {
		case d.stay[page]:
		case is:
			proof.Proof = record.ProofEvicted // the read went through the page cache, which had to fill it
		default:
			proof.DirectPages++
		}
	}
	if proof.UnprovenPages == uint64(len(d.stay)) {
		proof.Proof = ""
	}
	return proof, nil
}

// Close ends it.
func (d *OnDisk) Close() error {
	err := d.look.Close()
	if d.file != nil {
		err = errors.Join(err, d.file.Close())
	}
	return err
}
