package workload

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// mutationKind is something that happens to the file while it is pinned.
type mutationKind struct {
	Mutation
	// mutate does it to the first bytes of the target, whose pages are clean. It
	// returns the clone where it makes one.
	mutate func(t *target, bytes int64, known payload) (clone *os.File, err error)
}

// mutationKinds are all mutations. Adding one takes a function and a line here.
func mutationKinds() []mutationKind {
	return []mutationKind{
		{Mutation{Choice: Choice{"none", "nothing happens to the file while it is pinned"}}, mutateNothing},
		{Mutation{Choice: Choice{"reflink", "a clone is taken (FICLONE): the file's blocks are shared from then on"}}, mutateReflink},
		{Mutation{Choice: Choice{"punch", "a hole is punched over the region (fallocate)"}, Detaches: true}, mutateBy("punch a hole", unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE)},
		{Mutation{Choice: Choice{"zero-range", "the region is zeroed (fallocate)"}, Detaches: true}, mutateBy("zero the range", unix.FALLOC_FL_ZERO_RANGE)},
		{Mutation{Choice: Choice{"truncate", "the file is truncated to nothing and back to its size"}, Detaches: true}, mutateTruncate},
		{Mutation{Choice: Choice{"odirect-write", "the bytes that the file holds are written to it once more, with O_DIRECT"}, Detaches: true}, mutateDirectWrite},
	}
}

func mutateNothing(*target, int64, payload) (*os.File, error) { return nil, nil }

// mutateBy detaches the pages of the range from the file (truncate_pagecache_range,
// mm/truncate.c). Who pins them goes on writing into pages that are nobody's.
func mutateBy(what string, mode uint32) func(*target, int64, payload) (*os.File, error) {
	return func(t *target, bytes int64, _ payload) (*os.File, error) {
		if err := unix.Fallocate(int(t.file.Fd()), mode, 0, bytes); err != nil {
			return nil, fmt.Errorf("%s: fallocate: %w", what, err)
		}
		return nil, nil
	}
}

// mutateTruncate detaches the pages as a hole does.
func mutateTruncate(t *target, bytes int64, _ payload) (*os.File, error) {
	if err := errors.Join(t.file.Truncate(0), t.file.Truncate(bytes)); err != nil {
		return nil, fmt.Errorf("truncate: %w", err)
	}
	return nil, nil
}

// mutateReflink shares the file's blocks with a new file that has no name. What
// is written to either is then to be written elsewhere, if the file system is told.
func mutateReflink(t *target, bytes int64, _ payload) (*os.File, error) {
	fd, err := unix.Openat(int(t.dir.Fd()), ".", unix.O_RDWR|unix.O_TMPFILE|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make the clone's file: %w", err)
	}
	clone := os.NewFile(uintptr(fd), "clone")
	if err := unix.IoctlFileClone(fd, int(t.file.Fd())); err != nil {
		return nil, errors.Join(lacksf("clone the file: FICLONE: %w; the file system was made without reflinks", err), clone.Close())
	}
	return clone, fsync(clone)
}

// mutateDirectWrite invalidates the range in the page cache, which detaches pinned
// pages, too (invalidate_inode_pages2_range, mm/truncate.c). On the disk nothing changes.
func mutateDirectWrite(t *target, bytes int64, known payload) (_ *os.File, err error) {
	file, err := t.reopenDirect(os.O_WRONLY)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	buffer, err := mapAnonymous(directBuffer)
	if err != nil {
		return nil, err
	}
	defer buffer.Close()
	for offset := int64(0); offset < bytes; offset += directBuffer {
		chunk := buffer.mem[:min(directBuffer, bytes-offset)]
		known.fillFrom(chunk, 1, uint64(offset)/uint64(known.pageSize))
		if _, err := file.WriteAt(chunk, offset); err != nil {
			return nil, fmt.Errorf("write the range with O_DIRECT: %w", err)
		}
	}
	return nil, nil
}
