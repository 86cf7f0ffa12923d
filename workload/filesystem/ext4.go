package filesystem

import (
	"strconv"

	"umemstress/workload/scenario"
)

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

// ext4 is a kind that ext4's code runs, of blocks of that size, with more features than those and
// what these take.
func ext4(f scenario.Filesystem, more string, options ...string) Kind {
	f.DropsBufferless, f.Heals, f.Punch, f.ZeroRange, f.Deadly = true, true, true, true, ext4Deadly
	mkfs := []string{"mkfs.ext4", "-b", strconv.FormatInt(f.BlockBytes, 10), "-I", "256", "-q", "-F", "-O", ext4Features + more, "-E", "nodiscard,lazy_journal_init=1"}
	return Kind{Filesystem: f, fstype: "ext4", mkfs: append(mkfs, options...), pkg: "e2fsprogs", version: []string{"-V"}, extra: 48 << 20}
}

// ext4Deadly begins with where the BUG_ON was (fs/ext4/inode.c until cc5095747edf, 6.4 and
// stable kernels); the others go by a page's buffers, or warn that they lack.
var ext4Deadly = []string{
	"mpage_prepare_extent_to_map", "mpage_process_page_bufs", "mpage_process_folio", "mpage_submit_page", "mpage_submit_folio",
	"ext4_bio_write_page", "ext4_bio_write_folio", "ext4_writepage", "ext4_set_page_dirty", "ext4_dirty_folio",
}

// ext4Kinds are those that ext4's code runs, but for ext2. Without -b, mke2fs gives a small file
// system blocks of 1 KiB.
func ext4Kinds() []Kind {
	plain := ext4(scenario.Filesystem{
		Choice:     scenario.Choice{Name: "ext4", What: "buffer heads on every page; drops a dirty page that has none"},
		BlockBytes: 4096, LargeFolios: true,
	}, "")
	small := ext4(scenario.Filesystem{
		Choice:     scenario.Choice{Name: "ext4-1k", Like: "ext4", What: "blocks of 1 KiB: four buffer heads a page"},
		BlockBytes: 1024,
	}, "")
	journal := ext4(scenario.Filesystem{
		Choice:     scenario.Choice{Name: "ext4-journal", Like: "ext4", What: "data=journal: data goes through the journal"},
		BlockBytes: 4096, JournalsData: true,
	}, "")
	journal.mount = map[string]string{"data": "journal"}
	bigalloc := ext4(scenario.Filesystem{
		Choice:     scenario.Choice{Name: "ext4-bigalloc", Like: "ext4", What: "blocks in clusters of 64 KiB"},
		BlockBytes: 4096, WrittenAs: "ext4", LargeFolios: true,
	}, ",bigalloc", "-C", "65536")
	ciphered := ext4(scenario.Filesystem{
		Choice:     scenario.Choice{Name: "ext4-dm-crypt", Like: "ext4", What: "on an encrypted device"},
		BlockBytes: 4096, WrittenAs: "ext4", LargeFolios: true,
	}, "")
	ciphered.ciphered = true
	encrypted := ext4(scenario.Filesystem{
		Choice:     scenario.Choice{Name: "ext4-encrypted", Like: "ext4", What: "in a directory encrypted by fscrypt"},
		BlockBytes: 4096, WrittenAs: "ext4",
	}, ",encrypt")
	encrypted.encrypted = true
	// Where nothing is cached, nothing is dropped for want of buffers.
	direct := ext4(scenario.Filesystem{
		Choice:     scenario.Choice{Name: "ext4-dax", Like: "ext4", What: "on persistent memory that --pmem-dev names, mounted with -o dax: no page cache"},
		BlockBytes: 4096, Backing: scenario.OnPmem,
	}, "", "-L", ownLabel)
	direct.DropsBufferless, direct.Deadly, direct.mount = false, nil, map[string]string{"dax": "always"}
	return []Kind{plain, small, journal, bigalloc, ciphered, encrypted, direct}
}
