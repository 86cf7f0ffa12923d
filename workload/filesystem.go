package workload

// backing is what a file system keeps its files on.
type backing int

const (
	disk   backing = iota // a loop device
	device                // it is the loop device itself
	memory                // nothing but memory
)

// filesystem is one that a scenario can name.
type filesystem struct {
	Choice
	fstype  string // as mount(2) knows it; empty: none is mounted
	backing backing
	mkfs    []string          // the program that makes it, and its options
	pkg     string            // of Debian, that has the program
	extra   int64             // bytes that it needs beside its files
	mount   map[string]string // options

	// dropsBufferless: ext4's code writes it, which drops a dirty page that has no
	// buffers (fs/ext4/inode.c, mpage_prepare_extent_to_map).
	dropsBufferless bool
	// heals: a page that was dirtied unannounced, and kept its buffers or gets new
	// ones, is written where it belongs.
	heals bool
	// journalsData: what is read with O_DIRECT comes from the page cache all the same
	// (ext4_should_use_dio), and the journal is to have room for the file.
	journalsData              bool
	reflink, punch, zeroRange bool
	// blockBytes is the size of its blocks, where a file system of the user's must have it.
	blockBytes int64
	// pageBytes is what a page of it holds; 0: a page of the machine.
	pageBytes int64
}

// journalBytes is how large the journal of a file system is made that journals
// data. Where it does not hold a pinned file twice, 6.12 goes on writing the pages to
// the journal for as long as they are pinned, and no msync or fadvise returns
// (mpage_prepare_extent_to_map, __jbd2_log_wait_for_space).
func (k filesystem) journalBytes(fileBytes int64) int64 {
	if !k.journalsData {
		return 0
	}
	return max(64<<20, 2*fileBytes)
}

var ext4Options = []string{"-q", "-F", "-E", "nodiscard,lazy_journal_init=1"}

// filesystems are all file systems. Adding one takes a line here.
var filesystems = []filesystem{
	{
		// Without -b, mke2fs gives a small file system blocks of 1 KiB.
		Choice: Choice{"ext4", "buffer heads on every page; drops a dirty page that has none"},
		fstype: "ext4", mkfs: append([]string{"mkfs.ext4", "-b", "4096"}, ext4Options...), pkg: "e2fsprogs", extra: 48 << 20,
		blockBytes: 4096, dropsBufferless: true, heals: true, punch: true, zeroRange: true,
	},
	{
		Choice: Choice{"ext4-1k", "ext4 with blocks of 1 KiB: four buffer heads a page"},
		fstype: "ext4", mkfs: append([]string{"mkfs.ext4", "-b", "1024"}, ext4Options...), pkg: "e2fsprogs", extra: 48 << 20,
		blockBytes: 1024, dropsBufferless: true, heals: true, punch: true, zeroRange: true,
	},
	{
		Choice: Choice{"ext4-journal", "ext4 with data=journal: data goes through the journal"},
		fstype: "ext4", mkfs: append([]string{"mkfs.ext4", "-b", "4096"}, ext4Options...), pkg: "e2fsprogs", extra: 48 << 20,
		mount: map[string]string{"data": "journal"}, journalsData: true,
		blockBytes: 4096, dropsBufferless: true, heals: true, punch: true, zeroRange: true,
	},
	{
		Choice: Choice{"xfs", "no buffer heads; overwrites shared blocks when it is not told of a write"},
		fstype: "xfs", mkfs: []string{"mkfs.xfs", "-q", "-f", "-K"}, pkg: "xfsprogs", extra: 320 << 20,
		reflink: true, punch: true, zeroRange: true,
	},
	{
		Choice: Choice{"btrfs", "copies on write; needs to be told of each"},
		fstype: "btrfs", mkfs: []string{"mkfs.btrfs", "-q", "-f", "-K"}, pkg: "btrfs-progs", extra: 256 << 20,
		reflink: true, punch: true, zeroRange: true,
	},
	{
		// Debian's kernels have ext4's code run it (CONFIG_EXT4_USE_FOR_EXT2), which drops
		// pages as on ext4; ext2's own code would make the buffers anew.
		Choice: Choice{"ext2", "buffer heads; run by ext4's code on many kernels, and then like ext4"},
		fstype: "ext2", mkfs: []string{"mkfs.ext2", "-q", "-F", "-b", "4096", "-E", "nodiscard"}, pkg: "e2fsprogs", extra: 16 << 20,
		dropsBufferless: true, heals: true,
	},
	{
		Choice: Choice{"vfat", "buffer heads, made anew where they lack"},
		fstype: "vfat", mkfs: []string{"mkfs.vfat"}, pkg: "dosfstools", extra: 16 << 20,
		heals: true,
	},
	{
		Choice:  Choice{"block", "a raw block device: buffer heads, made anew where they lack"},
		backing: device, heals: true, punch: true, zeroRange: true,
	},
	{
		Choice: Choice{"tmpfs", "memory alone: no writeback, no buffers"},
		fstype: "tmpfs", backing: memory, heals: true,
	},
	{
		Choice: Choice{"hugetlbfs", "huge pages, memory alone"},
		fstype: "hugetlbfs", backing: memory, heals: true, pageBytes: 2 << 20,
	},
}
