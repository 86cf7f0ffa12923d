package filesystem

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"umemstress/workload/internal/fault"
	"umemstress/workload/internal/mount"
)

// checkFilesystem says whether the directory lies on a file system of the
// scenario's kind. The magic number cannot tell ext2, ext3 and ext4 apart, so
// the mount table is read.
func checkFilesystem(path string, dir *os.File, kind Kind) error {
	if kind.JournalsData {
		return fault.Usagef("--file %s: the journal must hold the file twice, as only that of a scratch is made to; leave it out for --fs %s", path, kind.Name)
	}
	if kind.WrittenAs != "" {
		return fault.Usagef("--file %s: %s is a scratch of the run's own; for a file of yours give --fs %s, whatever is below it", path, kind.Name, kind.WrittenAs)
	}
	mount, err := mount.Of(dir)
	if err != nil {
		return fmt.Errorf("--file %s: %w", path, err)
	}
	if got := mount.FSType; got != kind.fstype && !slices.Contains(kind.also, got) {
		return fault.Usagef("--file %s: it is on %s and the scenario is for %s; choose a file on %s", path, got, kind.Name, kind.fstype)
	}
	return checkBlocks(path, dir, kind)
}

// checkBlocks tells ext4 from ext4-1k.
func checkBlocks(path string, dir *os.File, kind Kind) error {
	var stat unix.Statfs_t
	if err := unix.Fstatfs(int(dir.Fd()), &stat); err != nil {
		return fmt.Errorf("--file %s: %w", path, err)
	}
	if kind.BlockBytes == 0 || stat.Bsize == kind.BlockBytes {
		return nil
	}
	return fault.Usagef("--file %s: its file system has blocks of %d bytes and the scenario is for %s, with %d; choose another file or --fs",
		path, stat.Bsize, kind.Name, kind.BlockBytes)
}

// checkJournal refuses a file whose data is journalled: where the journal does not hold the
// pinned pages twice, the file system stalls (journalBytes), and this one is the user's.
func (t *File) checkJournal(kind Kind) error {
	if kind.fstype != "ext4" {
		return nil
	}
	journalled, err := t.journalled()
	if err != nil {
		return fmt.Errorf("--file %s: whether its data is journalled: %w", t.Info.Path, err)
	}
	if journalled {
		return fault.Usagef("--file %s: its data is journalled (data=journal, or chattr +j), and pinned pages that its journal does not hold twice would stall the file system; choose another file", t.Info.Path)
	}
	return nil
}

// journalled says whether ext4 journals the file's data: by a flag of the file, or by
// an option of the mount, of which the mount table hides what is the superblock's
// default (fs/ext4/super.c, _ext4_show_options).
func (t *File) journalled() (bool, error) {
	flags, err := unix.IoctlGetInt(int(t.Handle.Fd()), unix.FS_IOC_GETFLAGS)
	if err != nil {
		return false, fmt.Errorf("FS_IOC_GETFLAGS: %w", err)
	}
	options, err := os.ReadFile("/proc/fs/ext4/" + t.Info.Device + "/options")
	if err != nil && !errors.Is(err, os.ErrNotExist) { // a kernel without /proc/fs/ext4
		return false, err
	}
	return flags&fsJournalDataFl != 0 || slices.Contains(strings.Split(string(options), "\n"), "data=journal"), nil
}

// fsJournalDataFl is FS_JOURNAL_DATA_FL (include/uapi/linux/fs.h).
const fsJournalDataFl = 0x4000
