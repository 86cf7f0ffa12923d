// Package mutation changes a file while its pages are pinned. A new mutation is a function
// and a line in [Kinds].
package mutation

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"umemstress/workload/filesystem"
	"umemstress/workload/folio"
	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/file"
	"umemstress/workload/internal/memory"
	"umemstress/workload/payload"
	"umemstress/workload/scenario"
	"umemstress/workload/unnamed"
)

// Kind is something that happens to the file while it is pinned.
type Kind struct {
	scenario.Mutation
	// Mutate does it to the target, whose pages are clean. It returns the clone where it
	// makes one.
	Mutate func(t Target) (clone *os.File, err error)
}

// Target is what is changed.
type Target struct {
	File   *filesystem.File
	Region *memory.Region
	Folios *folio.Pinned   // that hold the region; nil: nobody could look
	Known  payload.Payload // what the region holds is its generation 1
	// ByChild: another process makes the changes beside the region.
	ByChild bool
}

func (t Target) fd() int { return int(t.File.Handle.Fd()) }

// Kinds are all mutations. Adding one takes a function and a line here.
func Kinds() []Kind {
	return []Kind{
		{
			Mutation: scenario.Mutation{Choice: scenario.Choice{Name: "none", What: "nothing happens to the file while it is pinned"}},
			Mutate:   mutateNothing,
		},
		{
			Mutation: scenario.Mutation{Choice: scenario.Choice{Name: "reflink", What: "a clone is taken (FICLONE): the file's blocks are shared from then on"}},
			Mutate:   mutateReflink,
		},
		{
			Mutation: scenario.Mutation{Choice: scenario.Choice{Name: "punch", What: "a hole is punched over the region (fallocate)"}, Detaches: true},
			Mutate:   mutateBy("punch a hole", unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE),
		},
		{
			Mutation: scenario.Mutation{Choice: scenario.Choice{Name: "zero-range", What: "the region is zeroed (fallocate)"}, Detaches: true},
			Mutate:   mutateBy("zero the range", unix.FALLOC_FL_ZERO_RANGE),
		},
		{
			Mutation: scenario.Mutation{Choice: scenario.Choice{Name: "truncate", What: "the file is truncated to nothing and back to its size"}, Detaches: true},
			Mutate:   mutateTruncate,
		},
		{
			Mutation: scenario.Mutation{Choice: scenario.Choice{Name: "odirect-write", What: "the bytes that the file holds are written to it once more, with O_DIRECT"}, Detaches: true},
			Mutate:   mutateDirectWrite,
		},
		{
			Mutation: scenario.Mutation{Choice: scenario.Choice{Name: "punch-beside", What: "a hole of one page is punched next to the region, in the same folio"}, Beside: true},
			Mutate:   besideInFolio(punch),
		},
		{
			Mutation: scenario.Mutation{Choice: scenario.Choice{Name: "zero-beside", Like: "punch-beside", What: "a page beside the region is zeroed"}, Beside: true},
			Mutate:   besideInFolio(zero),
		},
		{
			Mutation: scenario.Mutation{Choice: scenario.Choice{Name: "truncate-beside", Like: "punch-beside", What: "the file is truncated to where the region ends"}, Beside: true},
			Mutate:   truncateBeside,
		},
		{
			Mutation: scenario.Mutation{Choice: scenario.Choice{Name: "write-beside", Like: "punch-beside", What: "a page beside the region is written, as anybody may"}, Beside: true},
			Mutate:   besideInFolio(write),
		},
		{
			Mutation: scenario.Mutation{Choice: scenario.Choice{Name: "punch-apart", What: "control: a hole of one page is punched behind the region, in another folio"}, Beside: true},
			Mutate:   punchApart,
		},
	}
}

func mutateNothing(Target) (*os.File, error) { return nil, nil }

// mutateBy detaches the pages of the range from the file (truncate_pagecache_range,
// mm/truncate.c). Who pins them goes on writing into pages that are nobody's.
func mutateBy(what string, mode uint32) func(Target) (*os.File, error) {
	return func(t Target) (*os.File, error) {
		if err := file.Allocate(t.File.Handle, mode, t.Region.Offset, t.Region.Length); err != nil {
			return nil, fmt.Errorf("%s: fallocate: %w", what, err)
		}
		return nil, nil
	}
}

// mutateTruncate detaches the pages as a hole does.
func mutateTruncate(t Target) (*os.File, error) {
	if err := errors.Join(t.File.Handle.Truncate(0), t.File.Handle.Truncate(t.File.Info.Bytes)); err != nil {
		return nil, fmt.Errorf("truncate: %w", err)
	}
	return nil, nil
}

// mutateReflink shares the file's blocks with a new file that has no name. What
// is written to either is then to be written elsewhere, if the file system is told.
func mutateReflink(t Target) (*os.File, error) {
	clone, err := nameless(t.File.Dir)
	if err != nil {
		return nil, fmt.Errorf("make the clone's file: %w", err)
	}
	if err := file.Again(func() error { return unix.IoctlFileClone(int(clone.Fd()), t.fd()) }); err != nil {
		return nil, errors.Join(fault.Lacksf("clone the file: FICLONE: %w; the file system was made without reflinks", err), clone.Close())
	}
	return clone, file.Sync(clone)
}

// nameless makes a file without a name in a directory. On ocfs2, which makes none (O_TMPFILE), it
// loses its name at once.
func nameless(dir *os.File) (*os.File, error) {
	clone, err := unnamed.At(dir)
	if !errors.Is(err, unix.EOPNOTSUPP) {
		return clone, err
	}
	name := fmt.Sprintf("umemstress-clone-%d", os.Getpid())
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	clone = os.NewFile(uintptr(fd), name)
	if err := unix.Unlinkat(int(dir.Fd()), name, 0); err != nil {
		return nil, errors.Join(err, clone.Close())
	}
	return clone, nil
}

// mutateDirectWrite invalidates the range in the page cache, which detaches pinned
// pages, too (invalidate_inode_pages2_range, mm/truncate.c). On the disk nothing changes.
func mutateDirectWrite(t Target) (_ *os.File, err error) {
	file, err := t.File.ReopenDirect(os.O_WRONLY)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	buffer, err := memory.MapAnonymous(payload.ChunkBytes)
	if err != nil {
		return nil, err
	}
	defer buffer.Close()
	for at := int64(0); at < t.Region.Length; at += payload.ChunkBytes {
		chunk := buffer.Bytes[:min(payload.ChunkBytes, t.Region.Length-at)]
		t.Known.FillFrom(chunk, 1, uint64(at)/uint64(t.Known.PageSize))
		if _, err := file.WriteAt(chunk, t.Region.Offset+at); err != nil {
			return nil, fmt.Errorf("write the range with O_DIRECT: %w", err)
		}
	}
	return nil, nil
}
