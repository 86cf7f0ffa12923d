package workload

// filesystem is one that a scenario can name, with how a scratch of it is made.
type filesystem struct {
	Filesystem
	fstype string            // as mount(2) knows it; empty: none is mounted
	mkfs   []string          // the program that makes it, and its options
	pkg    string            // of Debian, that has the program
	extra  int64             // bytes that it needs beside its files
	mount  map[string]string // options
}

// journalBytes is how large the journal of a file system is made that journals
// data. Where it does not hold a pinned file twice, 6.12 goes on writing the pages to
// the journal for as long as they are pinned, and no msync or fadvise returns
// (mpage_prepare_extent_to_map, __jbd2_log_wait_for_space).
func (k filesystem) journalBytes(fileBytes int64) int64 {
	if !k.JournalsData {
		return 0
	}
	return max(64<<20, 2*fileBytes)
}

func ext4(blockBytes string) []string {
	return []string{"mkfs.ext4", "-b", blockBytes, "-q", "-F", "-E", "nodiscard,lazy_journal_init=1"}
}

// filesystems are all file systems. Adding one takes an entry here.
func filesystems() []filesystem {
	return []filesystem{
		{
			// Without -b, mke2fs gives a small file system blocks of 1 KiB.
			Filesystem: Filesystem{
				Choice:     Choice{"ext4", "buffer heads on every page; drops a dirty page that has none"},
				BlockBytes: 4096, DropsBufferless: true, Heals: true, Punch: true, ZeroRange: true,
			},
			fstype: "ext4", mkfs: ext4("4096"), pkg: "e2fsprogs", extra: 48 << 20,
		},
		{
			Filesystem: Filesystem{
				Choice:     Choice{"ext4-1k", "ext4 with blocks of 1 KiB: four buffer heads a page"},
				BlockBytes: 1024, DropsBufferless: true, Heals: true, Punch: true, ZeroRange: true,
			},
			fstype: "ext4", mkfs: ext4("1024"), pkg: "e2fsprogs", extra: 48 << 20,
		},
		{
			Filesystem: Filesystem{
				Choice:       Choice{"ext4-journal", "ext4 with data=journal: data goes through the journal"},
				JournalsData: true, BlockBytes: 4096, DropsBufferless: true, Heals: true, Punch: true, ZeroRange: true,
			},
			fstype: "ext4", mkfs: ext4("4096"), pkg: "e2fsprogs", extra: 48 << 20, mount: map[string]string{"data": "journal"},
		},
		{
			Filesystem: Filesystem{
				Choice:  Choice{"xfs", "no buffer heads; overwrites shared blocks when it is not told of a write"},
				Reflink: true, Punch: true, ZeroRange: true,
			},
			fstype: "xfs", mkfs: []string{"mkfs.xfs", "-q", "-f", "-K"}, pkg: "xfsprogs", extra: 320 << 20,
		},
		{
			Filesystem: Filesystem{
				Choice:  Choice{"btrfs", "copies on write; needs to be told of each"},
				Reflink: true, Punch: true, ZeroRange: true,
			},
			fstype: "btrfs", mkfs: []string{"mkfs.btrfs", "-q", "-f", "-K"}, pkg: "btrfs-progs", extra: 256 << 20,
		},
		{
			// Debian's kernels have ext4's code run it (CONFIG_EXT4_USE_FOR_EXT2), which drops
			// pages as on ext4; ext2's own code would make the buffers anew.
			Filesystem: Filesystem{
				Choice:          Choice{"ext2", "buffer heads; run by ext4's code on many kernels, and then like ext4"},
				DropsBufferless: true, Heals: true,
			},
			fstype: "ext2", mkfs: []string{"mkfs.ext2", "-q", "-F", "-b", "4096", "-E", "nodiscard"}, pkg: "e2fsprogs", extra: 16 << 20,
		},
		{
			Filesystem: Filesystem{
				Choice: Choice{"vfat", "buffer heads, made anew where they lack"},
				Heals:  true,
			},
			fstype: "vfat", mkfs: []string{"mkfs.vfat"}, pkg: "dosfstools", extra: 16 << 20,
		},
		{
			Filesystem: Filesystem{
				Choice:  Choice{"block", "a raw block device: buffer heads, made anew where they lack"},
				Backing: OnDevice, Heals: true, Punch: true, ZeroRange: true,
			},
		},
		{
			Filesystem: Filesystem{
				Choice:  Choice{"tmpfs", "memory alone: no writeback, no buffers"},
				Backing: InMemory, Heals: true,
			},
			fstype: "tmpfs",
		},
		{
			Filesystem: Filesystem{
				Choice:  Choice{"hugetlbfs", "huge pages, memory alone"},
				Backing: InMemory, Heals: true, PageBytes: 2 << 20,
			},
			fstype: "hugetlbfs",
		},
	}
}
