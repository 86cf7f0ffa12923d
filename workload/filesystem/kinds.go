// Package filesystem makes the file that a run pins, on a scratch file system of its own or
// on one of the user's. A new file system is an entry in [Kinds].
package filesystem

import (
	"maps"

	"umemstress/workload/scenario"
)

// Kind is one that a scenario can name, with how a scratch of it is made.
type Kind struct {
	scenario.Filesystem
	fstype string            // as mount(2) knows it; empty: none is mounted
	also   []string          // other names of it in the mount table
	mkfs   []string          // the program that makes it, and its options
	pkg    string            // of Debian, that has the program
	extra  int64             // bytes that it needs beside its files
	mount  map[string]string // options
	large  map[string]string // more options, without which it makes no large folios

	version  []string  // what makes the program say its version; nil: it does so in any case
	features []string  // what makes it say which features it knows
	newer    []feature // that are to be off
}

// InLargeFolios is the kind as it is mounted to have its files in large folios.
func (k Kind) InLargeFolios() Kind {
	all := maps.Clone(k.mount)
	for option, value := range k.large {
		if all == nil {
			all = map[string]string{}
		}
		all[option] = value
	}
	k.mount = all
	return k
}

// ToolOf is the Tool of the file system of that name.
func ToolOf(name string) (program, pkg string) {
	kind, _ := scenario.Find(Kinds(), name)
	return kind.Tool()
}

// Tool is the program that makes the file system, and the package of Debian that has it;
// both are empty where it takes none.
func (k Kind) Tool() (name, pkg string) {
	if len(k.mkfs) == 0 {
		return "", ""
	}
	return k.mkfs[0], k.pkg
}

// journalBytes is how large the journal of a file system is made that journals
// data. Where it does not hold a pinned file twice, 6.12 goes on writing the pages to
// the journal for as long as they are pinned, and no msync or fadvise returns
// (mpage_prepare_extent_to_map, __jbd2_log_wait_for_space).
func (k Kind) journalBytes(fileBytes int64) int64 {
	if !k.JournalsData {
		return 0
	}
	return max(64<<20, 2*fileBytes)
}

// What mke2fs turns on is a matter of its version and of /etc/mke2fs.conf: these are the
// features of Debian 12, all of which 5.10 knows.
const (
	ext2Features = "none,sparse_super,large_file,filetype,resize_inode,dir_index,ext_attr"
	ext4Features = ext2Features + ",has_journal,extent,huge_file,flex_bg,metadata_csum,64bit,dir_nlink,extra_isize"
)

func ext4(blockBytes string) []string {
	return []string{"mkfs.ext4", "-b", blockBytes, "-I", "256", "-q", "-F", "-O", ext4Features, "-E", "nodiscard,lazy_journal_init=1"}
}

// ext4Deadly begins with where the BUG_ON was (fs/ext4/inode.c until cc5095747edf, 6.4 and
// stable kernels); the others go by a page's buffers, or warn that they lack.
var ext4Deadly = []string{
	"mpage_prepare_extent_to_map", "mpage_process_page_bufs", "mpage_process_folio", "mpage_submit_page", "mpage_submit_folio",
	"ext4_bio_write_page", "ext4_bio_write_folio", "ext4_writepage", "ext4_set_page_dirty", "ext4_dirty_folio",
}

// btrfsDeadly are in fs/btrfs/inode.c, of 7.2 the first, and fs/btrfs/extent_io.c.
var btrfsDeadly = []string{"btrfs_folio_set_fixup_dirty", "btrfs_data_dirty_folio", "btrfs_writepage_fixup_worker", "btrfs_writepage_cow_fixup"}

// Kinds are all file systems. Adding one takes an entry here.
func Kinds() []Kind {
	return []Kind{
		{
			// Without -b, mke2fs gives a small file system blocks of 1 KiB.
			Filesystem: scenario.Filesystem{
				Choice:     scenario.Choice{Name: "ext4", What: "buffer heads on every page; drops a dirty page that has none"},
				BlockBytes: 4096, DropsBufferless: true, Deadly: ext4Deadly, Heals: true, Punch: true, ZeroRange: true, LargeFolios: true,
			},
			fstype: "ext4", mkfs: ext4("4096"), pkg: "e2fsprogs", version: []string{"-V"}, extra: 48 << 20,
		},
		{
			Filesystem: scenario.Filesystem{
				Choice:     scenario.Choice{Name: "ext4-1k", What: "ext4 with blocks of 1 KiB: four buffer heads a page"},
				BlockBytes: 1024, DropsBufferless: true, Deadly: ext4Deadly, Heals: true, Punch: true, ZeroRange: true,
			},
			fstype: "ext4", mkfs: ext4("1024"), pkg: "e2fsprogs", version: []string{"-V"}, extra: 48 << 20,
		},
		{
			Filesystem: scenario.Filesystem{
				Choice:       scenario.Choice{Name: "ext4-journal", What: "ext4 with data=journal: data goes through the journal"},
				JournalsData: true, BlockBytes: 4096, DropsBufferless: true, Deadly: ext4Deadly, Heals: true, Punch: true, ZeroRange: true,
			},
			fstype: "ext4", mkfs: ext4("4096"), pkg: "e2fsprogs", version: []string{"-V"}, extra: 48 << 20, mount: map[string]string{"data": "journal"},
		},
		{
			Filesystem: scenario.Filesystem{
				Choice:  scenario.Choice{Name: "xfs", What: "no buffer heads; overwrites shared blocks when it is not told of a write"},
				Reflink: true, Punch: true, ZeroRange: true, LargeFolios: true,
			},
			fstype: "xfs", mkfs: []string{"mkfs.xfs", "-q", "-f", "-K"}, pkg: "xfsprogs", version: []string{"-V"}, extra: 320 << 20,
			newer: []feature{ // on since xfsprogs 6.5 and 6.13; they take Linux 5.19 and 6.10
				{"nrext64=", []string{"-i", "nrext64=0"}}, {"exchange=", []string{"-i", "exchange=0"}}, {"parent=", []string{"-n", "parent=0"}},
			},
		},
		{
			Filesystem: scenario.Filesystem{
				Choice:  scenario.Choice{Name: "btrfs", What: "copies on write; needs to be told of each"},
				Deadly:  btrfsDeadly,
				Reflink: true, Punch: true, ZeroRange: true, LargeFolios: true,
			},
			fstype: "btrfs", mkfs: []string{"mkfs.btrfs", "-q", "-f", "-K"}, pkg: "btrfs-progs", version: []string{"-V"}, extra: 256 << 20,
			features: []string{"-O", "list-all"}, newer: []feature{{"block-group-tree", []string{"-O", "^block-group-tree"}}}, // Linux 6.1
		},
		{
			// Debian's kernels have ext4's code run it (CONFIG_EXT4_USE_FOR_EXT2), which drops
			// pages as on ext4; ext2's own code would make the buffers anew.
			Filesystem: scenario.Filesystem{
				Choice:          scenario.Choice{Name: "ext2", What: "buffer heads; run by ext4's code on many kernels, and then like ext4"},
				DropsBufferless: true, Deadly: ext4Deadly, Heals: true,
			},
			fstype: "ext2", mkfs: []string{"mkfs.ext2", "-q", "-F", "-b", "4096", "-I", "256", "-O", ext2Features, "-E", "nodiscard"}, pkg: "e2fsprogs", version: []string{"-V"}, extra: 16 << 20,
		},
		{
			Filesystem: scenario.Filesystem{
				Choice: scenario.Choice{Name: "vfat", What: "buffer heads, made anew where they lack"},
				Heals:  true,
			},
			fstype: "vfat", mkfs: []string{"mkfs.vfat"}, pkg: "dosfstools", extra: 16 << 20,
		},
		{
			Filesystem: scenario.Filesystem{
				Choice:  scenario.Choice{Name: "block", What: "a raw block device: buffer heads, made anew where they lack"},
				Backing: scenario.OnDevice, Heals: true, Punch: true, ZeroRange: true,
			},
		},
		{
			Filesystem: scenario.Filesystem{
				Choice:  scenario.Choice{Name: "tmpfs", What: "memory alone: no writeback, no buffers"},
				Backing: scenario.InMemory, Heals: true, LargeFolios: true, Punch: true,
			},
			fstype: "tmpfs", large: map[string]string{"huge": "always"},
		},
		{
			Filesystem: scenario.Filesystem{
				Choice:  scenario.Choice{Name: "hugetlbfs", What: "huge pages, memory alone"},
				Backing: scenario.InMemory, Heals: true, PageBytes: 2 << 20,
			},
			fstype: "hugetlbfs",
		},
		{
			// A page that is dirtied behind its back has no request to be written by.
			Filesystem: scenario.Filesystem{
				Choice:  scenario.Choice{Name: "nfs", What: "NFSv3 from a server of the run's own: the server's bytes are the disk"},
				Backing: scenario.OnServer,
			},
			fstype: "nfs", also: []string{"nfs4"},
		},
	}
}
