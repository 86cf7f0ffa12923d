// Package filesystem makes the file that a run pins, on a scratch file system of its own or
// on one of the user's. A new file system is an entry in [Kinds].
package filesystem

import (
	"maps"
	"slices"

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

	ciphered  bool // it is made on a device of dm-crypt
	encrypted bool // its files are in a directory that fscrypt encrypts

	fewer []string // more options of the program, for kernels that do not mount what it makes otherwise
	env   []string // of the program's environment

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

// btrfsDeadly are in fs/btrfs/inode.c, of 7.2 the first, and fs/btrfs/extent_io.c.
var btrfsDeadly = []string{"btrfs_folio_set_fixup_dirty", "btrfs_data_dirty_folio", "btrfs_writepage_fixup_worker", "btrfs_writepage_cow_fixup"}

// Kinds are all file systems. Adding one takes an entry here.
func Kinds() []Kind {
	return slices.Concat(ext4Kinds(), xfsKinds(), []Kind{
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
			// A page has no buffers that could go, and is written wherever there is room; the block that
			// it had says that there is one for it (fs/f2fs/data.c, f2fs_do_write_data_page).
			Filesystem: scenario.Filesystem{
				Choice: scenario.Choice{Name: "f2fs", What: "no buffer heads; writes each page to a new place, and shares none"},
				Heals:  true, Punch: true, ZeroRange: true,
			},
			fstype: "f2fs", mkfs: []string{"mkfs.f2fs", "-f", "-q", "-t", "0"}, pkg: "f2fs-tools", version: []string{"-V"}, extra: 128 << 20,
		},
		{
			// Where it is told of a write, it gives the page a block of its own (fs/ocfs2/refcounttree.c).
			// Without heartbeat=none, 7.2 wants a cluster's helper for a local mount, too.
			Filesystem: scenario.Filesystem{
				Choice:  scenario.Choice{Name: "ocfs2", What: "buffer heads, made anew where they lack; overwrites shared blocks as xfs does"},
				Reflink: true, Punch: true,
			},
			fstype: "ocfs2", mkfs: []string{"mkfs.ocfs2", "-q", "-F", "-M", "local", "-N", "1", "-b", "4096", "-C", "4096", "-J", "size=8M", "--fs-features=local,refcount,unwritten,sparse"},
			pkg: "ocfs2-tools", version: []string{"-V"}, extra: 96 << 20, mount: map[string]string{"heartbeat": "none"},
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
	})
}
