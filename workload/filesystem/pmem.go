package filesystem

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/file"
	"umemstress/workload/scenario"
)

// ownLabel is what a file system is called that a run makes on a device of the user's, so that
// the next run knows it for one that nobody misses.
const ownLabel = "umemstress"

// OnPmem takes a device of persistent memory for a file system of the given kind with room for a
// file of fileBytes, which is made in directory dir first. The user named it, and yet it is to be empty, or to have nothing but such a file
// system; nothing is written before Make.
func OnPmem(device, dir string, kind Kind, fileBytes int64) (_ *Scratch, err error) {
	f, err := os.OpenFile(device, os.O_RDONLY|unix.O_EXCL, 0) // of a block device: as a mount opens it
	switch {
	case errors.Is(err, unix.EBUSY):
		return nil, fault.Usagef("--pmem-dev %s: it is in use: mounted, or a part of another device; name one that is not", device)
	case err != nil:
		return nil, fault.Usagef("--pmem-dev %w; name a device of persistent memory, such as /dev/pmem0, as root", err)
	}
	s := &Scratch{kind: kind, bytes: fileBytes, dir: dir}
	if err := errors.Join(s.mayTake(f), f.Close()); err != nil {
		return nil, err
	}
	if s.backing, err = os.Open(device); err != nil {
		return nil, err
	}
	if err := unix.Flock(int(s.backing.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fault.Usagef("--pmem-dev %s: another run has it (flock: %w); wait for its end, or name another device", device, err), s.Close())
	}
	return s, nil
}

// mayTake says why a device is not to be taken for the scratch.
func (s *Scratch) mayTake(f *os.File) error {
	var stat unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &stat); err != nil {
		return err
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFBLK {
		return fault.Usagef("--pmem-dev %s: it is no block device; name a device of persistent memory, such as /dev/pmem0", f.Name())
	}
	if !mapsDirectly(stat.Rdev) {
		return fault.Usagef("--pmem-dev %s: its driver maps no files directly (queue/dax of it in /sys/dev/block is not 1); name a device of persistent memory whose namespace is in the mode fsdax", f.Name())
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if want := s.space(); size < want {
		return fault.Usagef("--pmem-dev %s: it has %d MiB, and the file system takes %d; choose a smaller --file-size, or name a larger device", f.Name(), size>>20, want>>20)
	}
	free, err := isFree(f, size)
	if err == nil && !free {
		err = fault.Usagef("--pmem-dev %s: it is not empty, and a run would overwrite it; name another, or have it zeroed where nobody misses what it holds: blkdiscard --force --zeroout %[1]s", f.Name())
	}
	return err
}

// mapsDirectly says whether a block device's driver has DAX, or that of the disk of which it is a part.
func mapsDirectly(rdev uint64) bool {
	for _, at := range []string{"", "../"} {
		dax, err := os.ReadFile(fmt.Sprintf("/sys/dev/block/%d:%d/%squeue/dax", unix.Major(rdev), unix.Minor(rdev), at))
		if err == nil {
			return strings.TrimSpace(string(dax)) == "1"
		}
	}
	return false
}

// isFree says whether a device holds nothing, or a file system that a run has made on it. What partitions,
// arrays and file systems are known by is in its first and its last MiB.
func isFree(f io.ReaderAt, size int64) (bool, error) {
	const ends = 1 << 20
	head, tail := make([]byte, min(ends, size)), make([]byte, min(ends, size))
	_, first := f.ReadAt(head, 0)
	_, last := f.ReadAt(tail, size-int64(len(tail)))
	if err := errors.Join(first, last); err != nil {
		return false, fmt.Errorf("look whether the device is empty: %w", err)
	}
	if isOwn(head) {
		return true, nil
	}
	zeros := make([]byte, len(head))
	return bytes.Equal(head, zeros) && bytes.Equal(tail, zeros), nil
}

// marks are where file systems that a run makes on such a device have their magic number and their label:
// s_magic and s_volume_name of struct ext4_super_block (fs/ext4/ext4.h), which is at 1024, and sb_magicnum
// and sb_fname of struct xfs_dsb (fs/xfs/libxfs/xfs_format.h), which is at 0.
var marks = []struct {
	magic                        string
	magicAt, labelAt, labelBytes int
}{
	{"\x53\xef", 1024 + 0x38, 1024 + 0x78, 16},
	{"XFSB", 0, 108, 12},
}

// isOwn says whether a device begins with a file system that has ownLabel.
func isOwn(head []byte) bool {
	for _, m := range marks {
		if len(head) < m.labelAt+m.labelBytes || !bytes.HasPrefix(head[m.magicAt:], []byte(m.magic)) {
			continue
		}
		if string(bytes.TrimRight(head[m.labelAt:m.labelAt+m.labelBytes], "\x00")) == ownLabel {
			return true
		}
	}
	return false
}

// makeOnPmem makes and mounts the file system; on a kernel that does not take it, one of fewer features.
func (s *Scratch) makeOnPmem(ctx context.Context) error {
	err := s.putOnPmem(ctx)
	if len(s.kind.fewer) > 0 && errors.Is(err, unix.EINVAL) {
		s.kind.mkfs = slices.Concat(s.kind.mkfs, s.kind.fewer)
		return s.putOnPmem(ctx)
	}
	return err
}

// putOnPmem makes the file system in a file without a name, copies it to the device, and mounts it. What
// has its label goes first, so that a run which is killed meanwhile leaves a device that the next one takes.
func (s *Scratch) putOnPmem(ctx context.Context) (err error) {
	image, err := file.Nameless(s.dir, s.space())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, image.Close()) }()
	if s.madeBy, err = s.kind.make(ctx, image, s.bytes); err != nil {
		return err
	}
	device, err := os.OpenFile(s.backing.Name(), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	// Newer kernels mount nothing that is open for writing.
	if err := errors.Join(copyLabelFirst(ctx, device, image, s.space()), device.Close()); err != nil {
		return fmt.Errorf("copy the file system to %s: %w", s.backing.Name(), err)
	}
	return s.mount(s.backing.Name())
}

// copyLabelFirst copies so many bytes, of which the first MiB is on the device before any other is written.
func copyLabelFirst(ctx context.Context, device, image *os.File, size int64) error {
	buffer := make([]byte, 1<<20)
	for at := int64(0); at < size; at += int64(len(buffer)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		part := buffer[:min(int64(len(buffer)), size-at)]
		if _, err := image.ReadAt(part, at); err != nil {
			return err
		}
		if _, err := device.WriteAt(part, at); err != nil {
			return err
		}
		if at == 0 {
			if err := file.Sync(device); err != nil {
				return err
			}
		}
	}
	return file.Sync(device)
}

// checkDAX says whether the kernel maps a file directly, as the kind has it: a mount with -o dax may yet
// have files that it does not, and one without it files that it does (STATX_ATTR_DAX, Linux 5.8).
func checkDAX(path string, f *os.File, kind Kind) error {
	var stat unix.Statx_t
	if err := unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, 0, &stat); err != nil {
		return fmt.Errorf("--file %s: statx: %w", path, err)
	}
	is, wanted := stat.Attributes&unix.STATX_ATTR_DAX != 0, kind.Backing == scenario.OnPmem
	switch {
	case wanted && !is:
		return fault.Usagef("--file %s: it is not mapped directly (DAX), and the scenario is for %s; choose a file on %s mounted with -o dax from persistent memory", path, kind.Name, kind.fstype)
	case is && !wanted:
		return fault.Usagef("--file %s: it is mapped directly (DAX), and the scenario is for %s, which has a page cache; give --fs %s-dax or another file", path, kind.Name, kind.fstype)
	}
	return nil
}
